/** The segment-writer on Bun: settings from the environment, an object store, a metastore by URL, one listener. */
import { availableParallelism } from 'node:os'
import { FLUSH_POLICY_DEFAULT } from '#core/segment/flush-policy.ts'
import { createClock } from '#platform/clock.ts'
import { createCodec } from '#platform/codec.ts'
import { mountDebuginfoStore } from '#platform/connect/debuginfo-service.ts'
import { openInternal } from '#platform/connect/internal-bun.ts'
import { createGuardedApp } from '#platform/connect/internal-token.ts'
import { createLimitsClient } from '#platform/connect/limit-service.ts'
import { createLedgerClient, mountLedger } from '#platform/connect/ledger-service.ts'
import { createMetastoreClient, mountSegmentWriter } from '#platform/connect/services.ts'
import { createDigest } from '#platform/digest.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { mountReady } from '#platform/http/ready.ts'
import { serveHttp } from '#platform/http/serve.ts'
import { startLedger } from '#platform/ledger/start-ledger.ts'
import { openLimitsFile } from '#platform/limits-file.ts'
import { openLimitRows } from '#platform/limits-rows.ts'
import { createProcessLog } from '#platform/log.ts'
import { createInstruments } from '#platform/metrics/instruments.ts'
import { openStore } from '#platform/object-store/open-store.ts'
import { nativeGunzip } from '#platform/native-gunzip.ts'
import { nativeZstd } from '#platform/native-zstd.ts'
import { createRandom } from '#platform/random.ts'
import { runProcess } from '#platform/service.ts'
import { createSegmentWriter, MEMORY_BYTES_MAX_DEFAULT, WRITE_DEADLINE_MS_DEFAULT } from './app.ts'
import { readConfig } from './config.ts'
import { createDebuginfoStore } from './debuginfo-store.ts'
import { defaultThreads } from './shards.ts'
import { addWriterMetrics } from './writer-metrics.ts'

const log = createProcessLog()

await runProcess(log, async (lifecycle) => {
  const { limits, limitsFile, host, port, metastoreUrl, storageUrl, threads, journal } = readConfig(process.env)
  const internal = openInternal(process.env)
  const clock = createClock()
  const instruments = createInstruments('segment-writer', clock)
  const { store, putsPerSecondMax } = await openStore(storageUrl, { log })
  const overrides = createLimitsClient(metastoreUrl, internal.client)
  const tenants = await openLimitRows(await openLimitsFile(limits, limitsFile, { clock, log }), {
    clock,
    log,
    overrides,
  })
  await lifecycle.add({ name: 'limits of tenants', stop: () => tenants.stop() })
  const codec = nativeGunzip(nativeZstd(createCodec()))
  const random = createRandom()
  const metastore = instruments.metastore(createMetastoreClient(metastoreUrl, internal.client))
  const writer = createSegmentWriter(
    { store: instruments.store(store), metastore, codec, log, digest: createDigest(), clock, random },
    {
      limitsOf: (tenant) => tenants.limitsOf(tenant),
      policyOf: (tenant) => tenants.policyOf(tenant),
      flushPolicy: FLUSH_POLICY_DEFAULT,
      putsPerSecondMax,
      memoryBytesMax: MEMORY_BYTES_MAX_DEFAULT,
      writeDeadlineMs: WRITE_DEADLINE_MS_DEFAULT,
      threads: threads ?? defaultThreads(availableParallelism()),
      journal,
    },
  )
  await lifecycle.add({ name: 'segment-writer', stop: () => writer.stop() })
  const app = createGuardedApp(internal.tokens)
  const { bodyLimitBytes } = limits
  addWriterMetrics(instruments.registry, () => writer.status())
  const ledger = createLedgerClient(metastoreUrl, internal.client)
  const counting = startLedger({ ledger, registry: instruments.registry, clock, log, random })
  await lifecycle.add(counting.sender)
  const served = { bodyLimitBytes, compression: codecCompression(codec), log }
  mountSegmentWriter(app, instruments.pushes(counting.explain(writer)), served)
  // Distributors know no other address.
  mountLedger(app, ledger, served)
  const debuginfo = createDebuginfoStore({ store: instruments.store(store), clock })
  mountDebuginfoStore(app, debuginfo, { bodyLimitBytes, compression: codecCompression(codec), log })
  mountReady(app)
  internal.warnIfOpen({ name: 'segment-writer', host }, log)
  const { tls } = internal
  const serve = instruments.serve(app)
  const listener = await lifecycle.add(serveHttp({ name: 'listener', app, host, port, bodyLimitBytes, tls, serve }))
  log.info('segment-writer ready', { url: listener.url, metastore: metastoreUrl, storage: storageUrl })
})
