/** The metastore on Bun: settings from the environment, Postgres by URL, migrated at start, one listener. */
import { randomUUID } from 'node:crypto'
import { Hono } from 'hono'
import { createSql } from '#db/client.ts'
import { migrate } from '#db/migrate.ts'
import { createClock } from '#platform/clock.ts'
import { createCodec } from '#platform/codec.ts'
import { mountMetastore } from '#platform/connect/services.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { mountReady } from '#platform/http/ready.ts'
import { serveHttp } from '#platform/http/serve.ts'
import { createProcessLog } from '#platform/log.ts'
import { runProcess } from '#platform/service.ts'
import { createMetastore } from './app.ts'
import { readConfig } from './config.ts'
import { mountOperator } from './operate.ts'
import { defaultSettings } from './settings.ts'

const log = createProcessLog()

await runProcess(log, async (lifecycle) => {
  const { databaseUrl, host, port, bodyLimitBytes } = readConfig(process.env)
  const sql = createSql({ url: databaseUrl })
  await lifecycle.add({ name: 'postgres', stop: () => sql.end({ timeout: 1 }) })
  const applied = await migrate(sql)
  const deps = { sql, clock: createClock(), log, settings: defaultSettings(randomUUID()) }
  const metastore = createMetastore(deps)
  await metastore.start()
  const app = new Hono()
  const service = { bodyLimitBytes, compression: codecCompression(createCodec()), log }
  mountMetastore(app, metastore, service)
  mountOperator(app, deps, service)
  mountReady(app)
  const listener = await lifecycle.add(serveHttp({ name: 'metastore', app, host, port, bodyLimitBytes }))
  // Added last, so stopped first: waiting polls are answered before the listener waits for what is in flight.
  await lifecycle.add({ name: 'metastore', stop: () => metastore.stop() })
  log.info('metastore ready', { url: listener.url, migrationsApplied: applied.length })
})
