/**
 * Every service in one process: the embedded Postgres (or DATABASE_URL), local files, no network between the services.
 *
 * Up: lock the data directory, listen (503 until ready), database, migrations, metastore, compaction worker, writer,
 * query-backend, edge. Down, in the order of the parts' reverse: the listener answers what is in flight, the writer
 * flushes, the metastore ends its duties and wakes the worker's poll, the worker ends, the database stops last.
 */
import { randomUUID } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import type { Hono } from 'hono'
import { CinderError } from '#core/errors.ts'
import { FLUSH_POLICY_DEFAULT } from '#core/segment/flush-policy.ts'
import type { Log } from '#core/ports/log.ts'
import { planningInParts } from '#core/query/plan-parts.ts'
import type { LimitOverrides } from '#core/rpc/tenant-limits.ts'
import type { TenantPolicies } from '#core/rpc/tenant-policies.ts'
import type { IngestLedger } from '#core/rpc/ingest-ledger.ts'
import type { Metastore } from '#core/rpc/metastore.ts'
import { MIB } from '#core/units.ts'
import type { PlacementService } from '#core/rpc/placement.ts'
import type { RecordingRules } from '#core/rpc/recording-rules.ts'
import type { TenantSettings } from '#core/rpc/tenant-settings.ts'
import type { RetentionRuleStatus } from '#core/rpc/tenants.ts'
import { createClock } from '#platform/clock.ts'
import { createCodec } from '#platform/codec.ts'
import { createDigest } from '#platform/digest.ts'
import type { Internal } from '#platform/connect/internal-bun.ts'
import { createGuardedApp, refuseChanges } from '#platform/connect/internal-token.ts'
import { mountRecovery } from '#platform/connect/recovery-service.ts'
import { mountLimits } from '#platform/connect/limit-service.ts'
import { mountPolicies } from '#platform/connect/policy-service.ts'
import { openLimitRows } from '#platform/limits-rows.ts'
import { openPolicyRows } from '#platform/policy-rows.ts'
import { startLedger } from '#platform/ledger/start-ledger.ts'
import { mountSegmentWriter } from '#platform/connect/services.ts'
import { mountTenants } from '#platform/connect/tenant-service.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { nodeCompression } from '#platform/http/node-compression.ts'
import { mountMetrics } from '#platform/http/metrics.ts'
import { withoutPathPrefix } from '#platform/http/path-prefix.ts'
import { serveHttp2 } from '#platform/http/serve.ts'
import { type LimitsFile, openLimitsFile } from '#platform/limits-file.ts'
import { createInstruments, type Instruments } from '#platform/metrics/instruments.ts'
import { type OpenedStore, openStore } from '#platform/object-store/open-store.ts'
import { startPostgres } from '#platform/postgres/launcher.ts'
import { nativeGunzip } from '#platform/native-gunzip.ts'
import { nativeGzip } from '#platform/native-gzip.ts'
import { nativeZstd } from '#platform/native-zstd.ts'
import { createRandom } from '#platform/random.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import type { Lifecycle, Part } from '#platform/service.ts'
import { VERSION } from '#platform/version.ts'
import { DELETE_INTERVAL_MS_DEFAULT, POLL_WAIT_MS_DEFAULT, startCompactionWorker } from '../compaction-worker/app.ts'
import { createJobThreads } from '../compaction-worker/job-threads.ts'
import { addWorkerMetrics } from '../compaction-worker/worker-metrics.ts'
import { createDistributor } from '../distributor/app.ts'
import { createMetastore } from '../metastore/app.ts'
import { type Database, openDatabase } from '../metastore/database.ts'
import { mountOperator } from '../metastore/operate.ts'
import { addJournalMetrics } from '../metastore/journal.ts'
import { meterQueue } from '../metastore/queue-metrics.ts'
import { addStoredMetrics, createIngestLedger } from '../metastore/ingest-ledger.ts'
import { createPlacement } from '../metastore/placement.ts'
import { mountPlacement } from '../metastore/placement-routes.ts'
import { createRecordingRules } from '../metastore/recording-rules.ts'
import { createLimitOverrides } from '../metastore/tenant-limits.ts'
import { createTenantPolicies } from '../metastore/tenant-policies.ts'
import { createTenantSettings } from '../metastore/tenant-settings.ts'
import { createRecovery, type Recovery } from '../metastore/recovery.ts'
import { defaultSettings, type MetastoreSettings } from '../metastore/settings.ts'
import { applyDefaultRetention } from '../metastore/tenant-service.ts'
import { createTenants, type Tenants, tenantsSettings } from '../metastore/tenants.ts'
import { createAdhocStore } from '../query-backend/adhoc-store.ts'
import { createAsyncStore, startAsyncSweep } from '../query-backend/async-store.ts'
import { AnswerPace } from '../query-backend/answer-pace.ts'
import type { QueryBackendDeps } from '../query-backend/app.ts'
import { type ExecutedQueries, gzipInThreads, openQueryBackend, queryThreads } from '../query-backend/execution.ts'
import { createQueryFrontend } from '../query-frontend/app.ts'
import { openGuards } from '../query-frontend/frontend-metrics.ts'
import { addWriterMetrics } from '../segment-writer/writer-metrics.ts'
import { createDebuginfoStore } from '../segment-writer/debuginfo-store.ts'
import {
  createSegmentWriter,
  MEMORY_BYTES_MAX_DEFAULT,
  type SegmentWriterService,
  WRITE_DEADLINE_MS_DEFAULT,
} from '../segment-writer/app.ts'
import { defaultThreads } from '../segment-writer/shards.ts'
import { TenantRates } from '../segment-writer/tenant-rates.ts'
import type { AllInOneConfig } from './config.ts'
import { lockDataDir } from './data-lock.ts'
import { registerOwnWriter } from './own-writer.ts'
import { createEdge, type EdgeApps } from './edge.ts'
import { watchPushes } from './push-pressure.ts'
import type { StartFacts } from './start-block.ts'

export interface AllInOneDeps {
  readonly log: Log
  readonly lifecycle: Lifecycle
  /** Between the services in here there is no call to guard: it guards what operators use, and encrypts the port. */
  readonly internal: Internal
}

const WORKER_ID_PREFIX = 'all-in-one-'
const OPEN_REFUSAL =
  'this server listens beyond its own host without CINDER_INTERNAL_TOKEN, so it takes no orders from anybody: set the ' +
  'token here and for cinder, or listen on 127.0.0.1'
/** Requests of operators are a few names. */
const OPERATOR_BODY_LIMIT_BYTES = MIB

/** What the parts share. */
interface Shared extends AllInOneDeps {
  readonly config: AllInOneConfig
  readonly clock: ReturnType<typeof createClock>
  readonly codec: ReturnType<typeof createCodec>
  readonly random: ReturnType<typeof createRandom>
  /** Services of our own and pages are mounted here; served on the one port beside the edge apps. */
  readonly operator: Hono
  readonly instruments: Instruments
}

export async function startAllInOne(config: AllInOneConfig, deps: AllInOneDeps): Promise<StartFacts> {
  const startedMs = performance.now()
  const ports = { clock: createClock(), codec: createCodec(), random: createRandom() }
  const instruments = createInstruments('all-in-one', ports.clock)
  const operator = createGuardedApp(deps.internal.tokens)
  // Agents and people must reach the port, and no other service of ours has to: strangers may look, not delete.
  if (deps.internal.isOpen({ name: 'cinderblock', host: config.host })) operator.use('*', refuseChanges(OPEN_REFUSAL))
  const shared: Shared = { ...deps, ...ports, config, operator, instruments }
  const { lifecycle } = deps
  const lock = await lockDataDir(config.dataDir)
  await lifecycle.add({ name: 'data lock', stop: () => lock.release() })
  const edge = createEdge()
  deps.internal.warnIfOpen({ name: 'cinderblock', host: config.host, refusesOrders: true }, deps.log)
  const listener = await listen(config, edge.app, deps.internal)
  try {
    const opened = meterStores(await openStore(config.storageUrl, { log: deps.log }), instruments)
    const database = await startDatabase(shared)
    const { retention, ...index } = await startMetastore(shared, database, opened)
    edge.open(await startServices(shared, { ...index, listenerUrl: listener.url }, opened))
    await lifecycle.add(listener)
    const readyMs = performance.now() - startedMs
    const where = { url: shownUrl(config, listener.url), database: database.describe, objects: opened.describe }
    return { ...where, retention, readyMs }
  } catch (error) {
    await listener.stop()
    throw error
  }
}

async function listen(
  config: AllInOneConfig,
  app: ReturnType<typeof createEdge>['app'],
  { tls }: Internal,
): Promise<Part & { readonly url: string }> {
  const { host, port, limits, pathPrefix } = config
  const serve = withoutPathPrefix((request) => app.fetch(request), pathPrefix)
  try {
    return await serveHttp2({ name: 'listener', app, serve, host, port, bodyLimitBytes: limits.bodyLimitBytes, tls })
  } catch (error) {
    const cause = error instanceof Error ? (error.cause as { code?: unknown } | undefined) : undefined
    if (cause?.code !== 'EADDRINUSE') throw error
    throw new CinderError('failed_precondition', `port ${port} on ${host} is in use; stop what uses it, or set PORT`)
  }
}

interface DatabaseAddress {
  readonly url: string
  readonly describe: string
  /** Ours alone, as the data directory is. */
  readonly isEmbedded: boolean
}

async function startDatabase({ config, log, lifecycle }: Shared): Promise<DatabaseAddress> {
  if (config.databaseUrl !== undefined) {
    // Hosts and database without user and password; several hosts make no URL.
    const [, hosts = '', path = ''] = /^[a-z]+:\/\/(?:[^@/]*@)?([^/?]*)([^?]*)/.exec(config.databaseUrl) ?? []
    const describe = `Postgres at ${/:\d+$/.test(hosts) ? hosts : `${hosts}:5432`}${path} (DATABASE_URL)`
    return { url: config.databaseUrl, describe, isEmbedded: false }
  }
  const postgres = await startPostgres({ dataDir: join(config.dataDir, 'postgres'), log })
  await lifecycle.add({ name: 'postgres', stop: () => postgres.stop() })
  void postgres.exited.then(() => {
    lifecycle.fail(new CinderError('unavailable', 'the embedded Postgres has ended; see postgres.log beside its data'))
  })
  return { url: postgres.url, describe: postgres.describe, isEmbedded: true }
}

/** What the services ask Postgres for. */
interface Index {
  readonly metastore: Metastore
  readonly rules: RecordingRules
  readonly tenantSettings: TenantSettings
  readonly ledger: IngestLedger
  readonly overrides: LimitOverrides
  readonly policies: TenantPolicies
  readonly placement: PlacementService
}

/** The metastore with its duties, and the worker that it feeds. */
async function startMetastore(
  shared: Shared,
  address: DatabaseAddress,
  opened: OpenedStore,
): Promise<Index & { readonly retention: RetentionRuleStatus }> {
  const { clock, log, random, lifecycle } = shared
  const unusable = (cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new CinderError('failed_precondition', `the database cannot be used: ${address.describe}: ${why}`, { cause })
  }
  const directUrl = shared.config.databaseDirectUrl
  const database = await openDatabase({ url: address.url, directUrl }, { clock, log }).catch(unusable)
  await lifecycle.add({ name: 'database connections', stop: () => database.stop() })
  await database.migrate().catch(unusable)
  const instanceId = randomUUID()
  const settings = defaultSettings(instanceId, shared.config.compaction)
  const metastoreDeps = { sql: database.sql, database, clock, log, settings }
  const { tenants, retention } = await startTenants(shared, settings, { database, opened })
  const recovery = await startRecovery(shared, settings, { database, opened })
  const ledger = createIngestLedger({ sql: database.sql })
  const placement = createPlacement({ sql: database.dutySql, clock, log, holder: instanceId })
  const duties = [...tenants.duties, ...ledger.duties, ...placement.duties, ...recovery.duties]
  const metastore = createMetastore({ ...metastoreDeps, duties })
  recovery.attach(metastore.duties)
  const inParts = planningInParts(recovery.guard.wrap(metastore))
  const metered = shared.instruments.metastore(meterQueue(inParts, shared.instruments.registry))
  const { registry } = shared.instruments
  const operatorOptions = {
    bodyLimitBytes: OPERATOR_BODY_LIMIT_BYTES,
    compression: codecCompression(shared.codec),
    log,
  }
  mountOperator(shared.operator, { ...metastoreDeps, registry, storeHealth: opened.health }, operatorOptions)
  mountPlacement(shared.operator, placement.service, operatorOptions)
  // The lock of the data directory proves that every worker of an earlier process is dead, also after a kill -9. Before
  // the duties begin: they would count each lease that has run out as a failure.
  if (address.isEmbedded) await metastore.releaseHolders(WORKER_ID_PREFIX)
  await metastore.start()
  // Threads start with the first job; one core is left for pushes and queries.
  const capacity = Math.max(1, availableParallelism() - 1)
  const { storageUrl } = shared.config
  const onStoreCalls = shared.instruments.storeCalls
  const runner = createJobThreads({ log, onStoreCalls }, { threadsMax: capacity, storageUrl })
  await lifecycle.add({ name: 'job threads', stop: () => runner.stop() })
  const worker = startCompactionWorker(
    { store: opened.patientStore, runner, clock, random, log, metastore: metered },
    {
      workerId: `${WORKER_ID_PREFIX}${instanceId}`,
      capacity,
      pollWaitMs: POLL_WAIT_MS_DEFAULT,
      deleteIntervalMs: DELETE_INTERVAL_MS_DEFAULT,
      version: VERSION,
    },
  )
  addWorkerMetrics(registry, () => worker.status())
  await lifecycle.add({ name: 'compaction worker', stop: () => worker.stop() })
  await lifecycle.add({ name: 'metastore', stop: () => metastore.stop() })
  addStoredMetrics(registry, { sql: database.dutySql, clock })
  const rules = createRecordingRules({ sql: database.sql, random })
  const tenantSettings = createTenantSettings({ sql: database.sql })
  const overrides = createLimitOverrides({ sql: database.sql })
  const policies = createTenantPolicies({ sql: database.sql })
  const services = { rules, tenantSettings, ledger: ledger.service, overrides, policies, placement: placement.service }
  return { ...services, metastore: metered, retention }
}

async function startTenants(
  { config, clock, codec, log, operator }: Shared,
  settings: MetastoreSettings,
  { database, opened }: { readonly database: Database; readonly opened: OpenedStore },
): Promise<{ tenants: Tenants; retention: RetentionRuleStatus }> {
  const { retentionMs, deletionDelayMs: delayMs } = config.retention
  const store = opened.patientStore
  const deps = { sql: database.dutySql, clock, log, store, ...tenantsSettings(settings, config.retention) }
  const tenants = createTenants(deps)
  const options = { bodyLimitBytes: OPERATOR_BODY_LIMIT_BYTES, compression: codecCompression(codec), log }
  mountTenants(operator, tenants.service, options)
  return { tenants, retention: await applyDefaultRetention(database.sql, retentionMs, { delayMs }) }
}

/** Before the duties begin: a database that was restored must not delete anything. */
async function startRecovery(
  { clock, codec, log, random, operator, instruments }: Shared,
  settings: MetastoreSettings,
  { database, opened }: { readonly database: Database; readonly opened: OpenedStore },
): Promise<Recovery> {
  const { deletionGraceMs } = settings.jobPolicy
  const ports = { clock, codec, log, random }
  const recovery = createRecovery({ ...ports, sql: database.dutySql, store: opened.patientStore, deletionGraceMs })
  await recovery.guard.checkFirst()
  const options = { bodyLimitBytes: OPERATOR_BODY_LIMIT_BYTES, compression: codecCompression(codec), log }
  mountRecovery(operator, recovery.service, options)
  addJournalMetrics(instruments.registry, recovery.journal)
  return recovery
}

function meterStores(opened: OpenedStore, instruments: Instruments): OpenedStore {
  const [store, patientStore] = [opened.store, opened.patientStore].map((each) => instruments.store(each))
  return { ...opened, store: store!, patientStore: patientStore! }
}

async function startServices(
  shared: Shared,
  { metastore, rules, tenantSettings, ledger, overrides, policies, ...own }: Index & { readonly listenerUrl: string },
  opened: OpenedStore,
): Promise<EdgeApps> {
  const { config, clock, codec, log, random, lifecycle, operator, instruments } = shared
  const { store } = opened
  const tenants = await openLimits(shared, { overrides, policies })
  const { limitsOf } = tenants
  const tenantRates = new TenantRates(limitsOf)
  const writer = await startWriter(shared, metastore, { opened, tenants, tenantRates })
  addWriterMetrics(instruments.registry, () => writer.status())
  const profiles = () => writer.status().profiles
  await lifecycle.add(registerOwnWriter({ ...own, clock, log, instanceId: randomUUID(), profiles, tenantRates }))
  const operatorOptions = { bodyLimitBytes: config.limits.bodyLimitBytes, compression: codecCompression(codec), log }
  const counting = startLedger({ ledger, registry: instruments.registry, clock, log, random })
  await lifecycle.add(counting.sender)
  const explained = counting.explain(writer)
  mountSegmentWriter(operator, explained, operatorOptions)
  mountMetrics(operator, instruments.registry)
  const multitenancy = config.isMultitenant
  const compression = nodeCompression(nativeGunzip(nativeGzip(codec)))
  const regex = createRegexCompiler()
  const pushes = watchPushes(instruments.pushes(explained))
  const executing = await startQueries(shared, { store, regex, isPressed: pushes.isPressed })
  const backend = instruments.queries(executing)
  const guards = openGuards(clock, instruments.registry, log)
  const adhoc = createAdhocStore({ store, clock, random })
  const asyncResults = createAsyncStore({ store, clock })
  await lifecycle.add(startAsyncSweep({ store, clock, log }))
  return {
    operator,
    time: instruments.time,
    distributor: createDistributor(
      {
        writer: pushes.writer,
        counts: counting.counts,
        debuginfo: createDebuginfoStore({ store, clock }),
        clock,
        log,
        compression,
      },
      { multitenancy, bodyLimitBytes: config.limits.bodyLimitBytes },
    ),
    queryFrontend: createQueryFrontend(
      {
        metastore,
        backend,
        ...guards,
        rules,
        tenantSettings,
        ledger,
        adhoc,
        labels: executing,
        answerWorker: executing.answerWorker,
        asyncResults,
        regex,
        clock,
        log,
        compression: gzipInThreads(compression, executing.gzip),
      },
      { multitenancy, limitsOf },
    ),
  }
}

async function startQueries(
  { config, codec, log, lifecycle, instruments }: Shared,
  { isPressed, ...reading }: Pick<QueryBackendDeps, 'store' | 'regex'> & { readonly isPressed: () => boolean },
): Promise<ExecutedQueries> {
  const { queryExecution, storageUrl } = config
  // Pushes, plans and Postgres have the other core.
  const threads = queryThreads(queryExecution.threads, { cores: availableParallelism(), spared: 1 })
  const pace = new AnswerPace(isPressed)
  const onStoreCalls = instruments.storeCalls
  const deps = { ...reading, codec: nativeZstd(codec), log, pace, onStoreCalls }
  const executing = openQueryBackend(deps, { ...queryExecution, threads, storageUrl })
  await lifecycle.add({ name: 'query threads', stop: () => executing.stop() })
  executing.start()
  return executing
}

async function openLimits(
  { config, clock, codec, log, lifecycle, operator }: Shared,
  { overrides, policies }: Pick<Index, 'overrides' | 'policies'>,
): Promise<LimitsFile> {
  const file = await openLimitsFile(config.limits, config.limitsFile, { clock, log })
  const policed = await openPolicyRows(file, { clock, log, policies })
  const tenants = await openLimitRows(policed, { clock, log, overrides })
  await lifecycle.add({ name: 'limits of tenants', stop: () => tenants.stop() })
  const options = { bodyLimitBytes: OPERATOR_BODY_LIMIT_BYTES, compression: codecCompression(codec), log }
  mountLimits(operator, overrides, options)
  mountPolicies(operator, policies, options)
  return tenants
}

interface WriterParts {
  readonly opened: OpenedStore
  readonly tenants: LimitsFile
  readonly tenantRates: TenantRates
}

async function startWriter(
  { config, clock, codec, log, random, lifecycle }: Shared,
  metastore: Metastore,
  { opened, tenants, tenantRates: rates }: WriterParts,
): Promise<SegmentWriterService> {
  const { store, putsPerSecondMax } = opened
  const { limitsOf, policyOf } = tenants
  const writer = createSegmentWriter(
    { store, metastore, codec: nativeGunzip(nativeZstd(codec)), digest: createDigest(), clock, random, log, rates },
    {
      limitsOf,
      policyOf,
      flushPolicy: FLUSH_POLICY_DEFAULT,
      putsPerSecondMax: config.putsPerSecond ?? putsPerSecondMax,
      memoryBytesMax: MEMORY_BYTES_MAX_DEFAULT,
      writeDeadlineMs: WRITE_DEADLINE_MS_DEFAULT,
      threads: config.writerThreads ?? defaultThreads(availableParallelism()),
      journal: config.journal,
    },
  )
  await lifecycle.add({ name: 'segment writer', stop: () => writer.stop() })
  return writer
}

/** What to type: a wildcard address is no address. */
function shownUrl(config: AllInOneConfig, url: string): string {
  return ['0.0.0.0', '::'].includes(config.host) ? `${new URL(url).protocol}//localhost:${new URL(url).port}` : url
}
