/** The query-backend on Bun: settings from the environment, an object store, one listener. */
import { MIB } from '#core/units.ts'
import { createClock } from '#platform/clock.ts'
import { createCodec } from '#platform/codec.ts'
import { openInternal } from '#platform/connect/internal-bun.ts'
import { createGuardedApp } from '#platform/connect/internal-token.ts'
import { mountQueryBackend } from '#platform/connect/services.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { mountReady } from '#platform/http/ready.ts'
import { serveHttp } from '#platform/http/serve.ts'
import { createProcessLog } from '#platform/log.ts'
import { createInstruments } from '#platform/metrics/instruments.ts'
import { openStore } from '#platform/object-store/open-store.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import { runProcess } from '#platform/service.ts'
import { createQueryBackend } from './app.ts'
import { readConfig } from './config.ts'

/** A plan of 100,000 datasets takes about 10 MiB. */
const BODY_LIMIT_BYTES = 64 * MIB

const log = createProcessLog()

await runProcess(log, async (lifecycle) => {
  const { host, port, storageUrl } = readConfig(process.env)
  const internal = openInternal(process.env)
  const instruments = createInstruments('query-backend', createClock())
  const { store } = await openStore(storageUrl, { log })
  const codec = createCodec()
  const app = createGuardedApp(internal.tokens)
  const backend = createQueryBackend({ store: instruments.store(store), codec, regex: createRegexCompiler() })
  mountQueryBackend(app, backend, { bodyLimitBytes: BODY_LIMIT_BYTES, compression: codecCompression(codec), log })
  mountReady(app)
  const serve = instruments.serve(app)
  internal.warnIfOpen({ name: 'query-backend', host }, log)
  const listener = await lifecycle.add(
    serveHttp({ name: 'query-backend', app, host, port, bodyLimitBytes: BODY_LIMIT_BYTES, tls: internal.tls, serve }),
  )
  log.info('query-backend ready', { url: listener.url, storage: storageUrl })
})
