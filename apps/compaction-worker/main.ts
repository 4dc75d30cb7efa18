/** The compaction worker on Bun: a store, a metastore by URL, as many merge threads as cores. */
import { availableParallelism, hostname, totalmem } from 'node:os'
import { createClock } from '#platform/clock.ts'
import { openInternal } from '#platform/connect/internal-bun.ts'
import { createGuardedApp } from '#platform/connect/internal-token.ts'
import { createMetastoreClient } from '#platform/connect/services.ts'
import { mountReady } from '#platform/http/ready.ts'
import { serveHttp } from '#platform/http/serve.ts'
import { createProcessLog } from '#platform/log.ts'
import { createInstruments } from '#platform/metrics/instruments.ts'
import { openStore } from '#platform/object-store/open-store.ts'
import { createRandom } from '#platform/random.ts'
import { runProcess } from '#platform/service.ts'
import { VERSION } from '#platform/version.ts'
import { DELETE_INTERVAL_MS_DEFAULT, POLL_WAIT_MS_DEFAULT, startCompactionWorker } from './app.ts'
import { readConfig, workerCapacity } from './config.ts'
import { createJobThreads } from './job-threads.ts'
import { addWorkerMetrics } from './worker-metrics.ts'

const log = createProcessLog()

await runProcess(log, async (lifecycle) => {
  const { host, port, metastoreUrl, storageUrl } = readConfig(process.env)
  const internal = openInternal(process.env)
  const clock = createClock()
  const instruments = createInstruments('compaction-worker', clock)
  const { patientStore } = await openStore(storageUrl, { log })
  const capacity = workerCapacity(
    availableParallelism(),
    Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY),
  )
  const onStoreCalls = instruments.storeCalls
  const runner = createJobThreads({ log, onStoreCalls }, { threadsMax: capacity, storageUrl })
  await lifecycle.add({ name: 'job threads', stop: () => runner.stop() })
  const workerId = `${hostname()}-${process.pid}`
  const worker = startCompactionWorker(
    {
      store: instruments.store(patientStore),
      runner,
      log,
      metastore: instruments.metastore(createMetastoreClient(metastoreUrl, internal.client)),
      clock,
      random: createRandom(),
    },
    {
      workerId,
      capacity,
      pollWaitMs: POLL_WAIT_MS_DEFAULT,
      deleteIntervalMs: DELETE_INTERVAL_MS_DEFAULT,
      address: `${internal.tls === undefined ? 'http' : 'https'}://${hostname()}:${port}`,
      version: VERSION,
    },
  )
  await lifecycle.add({ name: 'compaction-worker', stop: () => worker.stop() })
  addWorkerMetrics(instruments.registry, () => worker.status())
  const app = createGuardedApp(internal.tokens)
  mountReady(app)
  app.get('/status', (context) => context.json(worker.status()))
  internal.warnIfOpen({ name: 'compaction-worker', host }, log)
  const { tls } = internal
  const serve = instruments.serve(app)
  const listener = await lifecycle.add(
    serveHttp({ name: 'listener', app, host, port, bodyLimitBytes: 1024, tls, serve }),
  )
  log.info('compaction-worker ready', { url: listener.url, workerId, capacity, metastore: metastoreUrl })
})
