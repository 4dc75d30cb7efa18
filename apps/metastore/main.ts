/** The metastore on Bun: settings from the environment, Postgres by URL, migrated at start, one listener. */
import { randomUUID } from 'node:crypto'
import { createClock } from '#platform/clock.ts'
import { createCodec } from '#platform/codec.ts'
import { openInternal } from '#platform/connect/internal-bun.ts'
import { createGuardedApp } from '#platform/connect/internal-token.ts'
import { mountLimits } from '#platform/connect/limit-service.ts'
import { mountPolicies } from '#platform/connect/policy-service.ts'
import { mountLedger } from '#platform/connect/ledger-service.ts'
import { mountRecovery } from '#platform/connect/recovery-service.ts'
import { mountRules } from '#platform/connect/rule-service.ts'
import { mountSettings } from '#platform/connect/setting-service.ts'
import { mountTenants } from '#platform/connect/tenant-service.ts'
import { mountMetastore } from '#platform/connect/services.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { mountReady } from '#platform/http/ready.ts'
import { serveHttp } from '#platform/http/serve.ts'
import { createInstruments } from '#platform/metrics/instruments.ts'
import { openStore } from '#platform/object-store/open-store.ts'
import { createProcessLog } from '#platform/log.ts'
import { createRandom } from '#platform/random.ts'
import { runProcess } from '#platform/service.ts'
import { createMetastore } from './app.ts'
import { readConfig } from './config.ts'
import { openDatabase } from './database.ts'
import { addJournalMetrics } from './journal.ts'
import { mountOperator } from './operate.ts'
import { meterQueue } from './queue-metrics.ts'
import { addStoredMetrics, createIngestLedger } from './ingest-ledger.ts'
import { createPlacement } from './placement.ts'
import { mountPlacement } from './placement-routes.ts'
import { createRecordingRules } from './recording-rules.ts'
import { createLimitOverrides } from './tenant-limits.ts'
import { createTenantPolicies } from './tenant-policies.ts'
import { createTenantSettings } from './tenant-settings.ts'
import { createRecovery } from './recovery.ts'
import { defaultSettings } from './settings.ts'
import { applyDefaultRetention } from './tenant-service.ts'
import { createTenants, tenantsSettings } from './tenants.ts'

const log = createProcessLog()

await runProcess(log, async (lifecycle) => {
  const { databaseUrl, directUrl, storageUrl, retention, compaction, host, port, bodyLimitBytes } = readConfig(
    process.env,
  )
  const internal = openInternal(process.env)
  const clock = createClock()
  const instruments = createInstruments('metastore', clock)
  const database = await openDatabase({ url: databaseUrl, directUrl }, { clock, log })
  await lifecycle.add({ name: 'postgres', stop: () => database.stop() })
  const applied = await database.migrate()
  const opened = storageUrl === undefined ? undefined : await openStore(storageUrl, { log })
  const store = opened === undefined ? undefined : instruments.store(opened.patientStore)
  const settings = defaultSettings(randomUUID(), compaction)
  const deps = { sql: database.sql, database, clock, log, settings }
  const tenants = createTenants({ ...tenantsSettings(settings, retention), sql: database.dutySql, clock, log, store })
  const { deletionGraceMs } = settings.jobPolicy
  const recoveryPorts = { codec: createCodec(), random: createRandom(), deletionGraceMs }
  const recovery =
    store === undefined ? undefined : createRecovery({ ...recoveryPorts, sql: database.dutySql, store, clock, log })
  const ledger = createIngestLedger({ sql: database.sql })
  const placement = createPlacement({ sql: database.dutySql, clock, log, holder: settings.instanceId })
  const duties = [...tenants.duties, ...ledger.duties, ...placement.duties, ...(recovery?.duties ?? [])]
  const metastore = createMetastore({ ...deps, duties })
  recovery?.attach(metastore.duties)
  await recovery?.guard.checkFirst()
  await applyDefaultRetention(database.sql, retention.retentionMs, { delayMs: retention.deletionDelayMs })
  await metastore.start()
  const app = createGuardedApp(internal.tokens)
  const service = { bodyLimitBytes, compression: codecCompression(createCodec()), log }
  const served = meterQueue(recovery?.guard.wrap(metastore) ?? metastore, instruments.registry)
  mountMetastore(app, served, service)
  if (recovery === undefined)
    log.warn('STORAGE_URL is not set: no search for orphans, no recovery of journals, and a restore is not noticed')
  else {
    mountRecovery(app, recovery.service, service)
    addJournalMetrics(instruments.registry, recovery.journal)
  }
  mountOperator(app, { ...deps, registry: instruments.registry, storeHealth: opened?.health }, service)
  mountTenants(app, tenants.service, service)
  mountRules(app, createRecordingRules({ sql: database.sql, random: createRandom() }), service)
  mountSettings(app, createTenantSettings({ sql: database.sql }), service)
  mountLedger(app, ledger.service, service)
  mountPlacement(app, placement.service, service)
  mountLimits(app, createLimitOverrides({ sql: database.sql }), service)
  mountPolicies(app, createTenantPolicies({ sql: database.sql }), service)
  addStoredMetrics(instruments.registry, { sql: database.dutySql, clock })
  mountReady(app)
  internal.warnIfOpen({ name: 'metastore', host }, log)
  const { tls } = internal
  const serve = instruments.serve(app)
  const listener = await lifecycle.add(serveHttp({ name: 'metastore', app, host, port, bodyLimitBytes, tls, serve }))
  // Added last, so stopped first: waiting polls are answered before the listener waits for what is in flight.
  await lifecycle.add({ name: 'metastore', stop: () => metastore.stop() })
  log.info('metastore ready', { url: listener.url, migrationsApplied: applied.length })
})
