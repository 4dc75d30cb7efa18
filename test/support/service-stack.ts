/**
 * All services in this process over a real Postgres and real files, put together as all-in-one does, with every joint
 * open: wrap what a writer or a worker is given, add a second writer, plan by hand, count what a query reads.
 */
import { createClock } from '#platform/clock.ts'
import { createCodec } from '#platform/codec.ts'
import { createDigest } from '#platform/digest.ts'
import { nodeCompression } from '#platform/http/node-compression.ts'
import { type CountingStore, countingStore } from '#platform/object-store/counting.ts'
import { openFilesystemStore } from '#platform/object-store/filesystem.ts'
import { createRandom } from '#platform/random.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { Metastore } from '#core/rpc/metastore.ts'
import { DEFAULT_LIMITS, type TenantLimits } from '#core/limits/limits.ts'
import { BlockCache } from '#core/query/block-cache.ts'
import type { QueryBackend } from '#core/rpc/query-backend.ts'
import { FLUSH_POLICY_DEFAULT } from '#core/segment/flush-policy.ts'
import { createEdge } from '../../apps/all-in-one/edge.ts'
import { type CompactionWorkerService, startCompactionWorker } from '../../apps/compaction-worker/app.ts'
import { createDistributor } from '../../apps/distributor/app.ts'
import type { MetastoreSettings } from '../../apps/metastore/settings.ts'
import { createQueryBackend } from '../../apps/query-backend/app.ts'
import { createAsyncStore } from '../../apps/query-backend/async-store.ts'
import { createLabelReporter } from '../../apps/query-backend/labels.ts'
import { createQueryFrontend } from '../../apps/query-frontend/app.ts'
import { createSegmentWriter } from '../../apps/segment-writer/app.ts'
import type { JournalMode } from '../../apps/segment-writer/journal.ts'
import { createInlineRunner } from './merge-jobs.ts'
import { waitUntil } from './process.ts'
import type { Send } from './server-client.ts'
import { makeDataDir } from './server-process.ts'
import { createTellingLog } from './silent-log.ts'
import { createSqlMetastore, type SqlMetastore } from './sql-metastore.ts'

/** 16 MiB: all that a suite reads. */
const CACHE_BYTES = 16 * 1024 * 1024

/** What a writer or a worker is given instead of the real ones. */
export interface Wrapped {
  readonly metastore?: Metastore
  readonly store?: ObjectStore
  readonly clock?: Clock
  /** Of a writer. */
  readonly journal?: JournalMode
}

/** As `openStore` gives them. */
export interface StackStores {
  readonly store: ObjectStore
  readonly patientStore: ObjectStore
}

export interface ServiceStack {
  /** To the first writer, and to the query side. */
  readonly send: Send
  readonly store: ObjectStore
  /** What the query-backend reads through. */
  readonly readStore: CountingStore
  readonly metastore: SqlMetastore
  /** Another writer with a front door of its own. Both serve the same queries. */
  addWriter(wrapped?: Wrapped): Send
  /** The one worker of the stack; started by `compact` if need be. */
  startWorker(wrapped?: Wrapped): CompactionWorkerService
  /** Plans everything that waits and resolves when it is committed. Returns the number of jobs. */
  compact(): Promise<number>
  close(): Promise<void>
}

/** What a suite may have otherwise. */
export interface StackOptions {
  readonly multitenancy?: boolean
  readonly limits?: Partial<TenantLimits>
  /** JSON of the ingest policy of a tenant, asked for at every push. */
  readonly policyOf?: (tenant: string) => string | undefined
  /** What the query-frontend calls; `keeping` is one over the same store that keeps what it read. */
  readonly wrapBackend?: (backend: QueryBackend, keeping: QueryBackend) => QueryBackend
  readonly pollWaitMs?: number
}

/** Without `settings` nothing is planned but by `compact`; without `opened` objects are local files. */
export async function createServiceStack(
  settings: Partial<MetastoreSettings> = {},
  opened?: StackStores,
  options: StackOptions = {},
): Promise<ServiceStack> {
  const {
    multitenancy = false,
    limits: ownLimits = {},
    policyOf,
    wrapBackend = (backend) => backend,
    pollWaitMs = 1_000,
  } = options
  const metastore = await createSqlMetastore(settings)
  // The first poll of a worker would plan what waits by then; from here on a poll finds that planning is not due.
  await metastore.metastore.planner.pass()
  const store = opened?.store ?? (await openFilesystemStore(await makeDataDir()))
  const patientStore = opened?.patientStore ?? store
  const readStore = countingStore(store)
  const parts = {
    clock: createClock(),
    codec: createCodec(),
    digest: createDigest(),
    random: createRandom(),
    log: createTellingLog(),
    regex: createRegexCompiler(),
  }
  const compression = nodeCompression(parts.codec)
  const limits = { ...DEFAULT_LIMITS, ingestionRateBytes: 0, ...ownLimits }
  const limitsOf = () => limits
  const shared = { ...parts, compression }
  const reading = { ...parts, store: readStore }
  const cache = new BlockCache(CACHE_BYTES)
  const keeping = createQueryBackend({ ...reading, cache, keepsReports: true })
  const backend = wrapBackend(createQueryBackend(reading), keeping)
  const labels = createLabelReporter({ ...parts, store: readStore })
  const asyncResults = createAsyncStore({ store, clock: parts.clock })
  const queryFrontend = createQueryFrontend(
    { ...shared, metastore: metastore.metastore, labels, asyncResults, backend },
    { multitenancy, limitsOf },
  )
  const stops: (() => Promise<void>)[] = []
  let worker: CompactionWorkerService | undefined

  function addWriter(wrapped: Wrapped = {}): Send {
    const writer = createSegmentWriter(
      { ...parts, metastore: metastore.metastore, store, ...wrapped },
      {
        limitsOf,
        policyOf,
        flushPolicy: FLUSH_POLICY_DEFAULT,
        putsPerSecondMax: 0,
        memoryBytesMax: 64 * 1024 * 1024,
        writeDeadlineMs: 20_000,
        threads: 0,
        journal: wrapped.journal ?? 'off',
      },
    )
    stops.push(() => writer.stop())
    const edge = createEdge()
    const settings = { multitenancy, bodyLimitBytes: limits.bodyLimitBytes }
    edge.open({ distributor: createDistributor({ ...shared, writer }, settings), queryFrontend })
    return async (path, init) => edge.app.request(`http://stack${path}`, init)
  }

  function startWorker(wrapped: Wrapped = {}): CompactionWorkerService {
    const deps = { ...parts, metastore: metastore.metastore, store: patientStore, ...wrapped }
    const started = startCompactionWorker(
      { ...deps, runner: createInlineRunner(deps) },
      { workerId: 'stack', capacity: 2, pollWaitMs, deleteIntervalMs: 3_600_000 },
    )
    stops.push(() => started.stop())
    worker = started
    return started
  }

  return {
    send: addWriter(),
    store,
    readStore,
    metastore,
    addWriter,
    startWorker,
    async compact() {
      const running = worker ?? startWorker()
      const before = running.status().committed
      const jobs = await metastore.metastore.planner.pass()
      await waitUntil(`${jobs} jobs are committed`, () => running.status().committed >= before + jobs)
      return jobs
    },
    async close() {
      // Waiting polls are answered first; the database goes last.
      await metastore.metastore.stop()
      for (const stop of stops) await stop()
      await metastore.close()
    },
  }
}
