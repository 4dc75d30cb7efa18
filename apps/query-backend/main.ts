/** The query-backend on Bun: settings from the environment, an object store, one listener. */
import { availableParallelism } from 'node:os'
import { MIB } from '#core/units.ts'
import { createClock } from '#platform/clock.ts'
import { createCodec } from '#platform/codec.ts'
import { mountAdhoc } from '#platform/connect/adhoc-service.ts'
import { mountLabelReport } from '#platform/connect/label-service.ts'
import { mountAsyncResults } from '#platform/connect/async-result-service.ts'
import { openInternal } from '#platform/connect/internal-bun.ts'
import { createGuardedApp } from '#platform/connect/internal-token.ts'
import { mountQueryBackend } from '#platform/connect/services.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { mountReady } from '#platform/http/ready.ts'
import { serveHttp } from '#platform/http/serve.ts'
import { createProcessLog } from '#platform/log.ts'
import { standBehindPushes } from '#platform/niceness.ts'
import { createInstruments } from '#platform/metrics/instruments.ts'
import { nativeZstd } from '#platform/native-zstd.ts'
import { openStore } from '#platform/object-store/open-store.ts'
import { createRandom } from '#platform/random.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import { runProcess } from '#platform/service.ts'
import { createAdhocStore } from './adhoc-store.ts'
import { createAsyncStore, startAsyncSweep } from './async-store.ts'
import { readConfig } from './config.ts'
import { openQueryBackend, queryThreads } from './execution.ts'

/** A plan of 100,000 datasets takes about 10 MiB. */
const BODY_LIMIT_BYTES = 64 * MIB

standBehindPushes()
const log = createProcessLog()

await runProcess(log, async (lifecycle) => {
  const { host, port, storageUrl, execution } = readConfig(process.env)
  const internal = openInternal(process.env)
  const clock = createClock()
  const instruments = createInstruments('query-backend', clock)
  const opened = await openStore(storageUrl, { log })
  const store = instruments.store(opened.store)
  const codec = nativeZstd(createCodec())
  const app = createGuardedApp(internal.tokens)
  const threads = queryThreads(execution.threads, { cores: availableParallelism(), spared: 0 })
  const deps = { store, codec, regex: createRegexCompiler(), log, onStoreCalls: instruments.storeCalls }
  const backend = openQueryBackend(deps, { ...execution, threads, storageUrl })
  await lifecycle.add({ name: 'query threads', stop: () => backend.stop() })
  backend.start()
  const options = { bodyLimitBytes: BODY_LIMIT_BYTES, compression: codecCompression(codec), log }
  mountQueryBackend(app, backend, options)
  mountLabelReport(app, backend, options)
  mountAsyncResults(app, createAsyncStore({ store, clock }), options)
  await lifecycle.add(startAsyncSweep({ store, clock, log }))
  mountAdhoc(app, createAdhocStore({ store, clock, random: createRandom() }), options)
  mountReady(app)
  const serve = instruments.serve(app)
  internal.warnIfOpen({ name: 'query-backend', host }, log)
  const listener = await lifecycle.add(
    serveHttp({ name: 'query-backend', app, host, port, bodyLimitBytes: BODY_LIMIT_BYTES, tls: internal.tls, serve }),
  )
  log.info('query-backend ready', { url: listener.url, storage: storageUrl })
})
