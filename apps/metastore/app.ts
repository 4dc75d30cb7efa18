/**
 * The metastore: the contract of core/rpc/metastore.ts over Postgres. It keeps nothing between calls that matters: any
 * number of replicas serve one database.
 *
 * `createMetastore` gives the service at once; `start` begins the duties (planning, cleaning, wakes from other replicas)
 * and `stop` ends them, answers waiting polls and gives leases back. The pool belongs to the caller.
 */
import { assert } from '#core/assert.ts'
import { CinderError } from '#core/errors.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import type {
  CommitCompactionRequest,
  CommitCompactionResponse,
  CommitSegmentResponse,
  LabelSetsRequest,
  Metastore,
} from '#core/rpc/metastore.ts'
import type { Sql } from '#db/client.ts'
import { toCinderError, withConflictRetries, withSqlErrors } from '#db/errors.ts'
import { datasetPartitions, ensurePartition } from '#db/partitions.ts'
import { ReadLane } from '#db/read-lane.ts'
import { commitCompaction } from '#db/sql/commit-compaction.ts'
import { commitSegment, type SegmentOutcome } from '#db/sql/commit-segment.ts'
import { KeptLabelSets } from '#db/sql/kept-label-sets.ts'
import { isCut } from '#db/sql/label-sets.ts'
import { planQuery, streamPlan } from '#db/sql/plan-query.ts'
import { readVerdict } from '#db/sql/read-verdict.ts'
import { releaseHolders } from '#db/sql/release-jobs.ts'
import { selectTenantStats } from '#db/sql/tenant-stats.ts'
import { claimTombstones, confirmDeleted, deferTombstones } from '#db/sql/tombstones.ts'
import { uncompiled } from '#db/uncompiled.ts'
import { Cleaner } from './cleaner.ts'
import type { Database } from './database.ts'
import { Duties, type Duty } from './duties.ts'
import { listDuties } from './duty-list.ts'
import { JobClaims } from './job-claims.ts'
import { pollJobs } from './job-poll.ts'
import { createLoops } from './loops.ts'
import { Planner } from './planner.ts'
import type { MetastoreSettings } from './settings.ts'
import { checkCompaction, checkJobTerms, checkSegment } from './validate.ts'
import { WakeSignal } from './wake-signal.ts'

export interface MetastoreDeps {
  readonly sql: Sql
  readonly clock: Clock
  readonly log: Log
  readonly settings: MetastoreSettings
  /** What openDatabase gave, `sql` with it; without, duties share `sql`. */
  readonly database?: Database
  /** Beside those of duty-list.ts: duties that need more than the database. */
  readonly duties?: readonly Duty[]
}

export interface RunningMetastore extends Metastore {
  start(): Promise<void>
  stop(): Promise<void>
  /**
   * Running jobs of workers whose ids begin so are queued again, no failure counted. Only for a caller that knows that
   * they are dead. Not part of the contract between services. Returns how many.
   */
  releaseHolders(workerIdPrefix: string): Promise<number>
  readonly planner: Planner
  readonly cleaner: Cleaner
  readonly duties: Duties
}

/** A sentence for people: more names than a set of typical labels has tell nothing. */
const NAMES_SHOWN_MAX = 10
/** Deleting one object takes about 50 ms on a remote store: 100 take a third of the lease. */
const TOMBSTONES_PER_CLAIM_MAX = 100
/** Names of day partitions known to exist: two years of days. */
const KNOWN_DAYS_MAX = 800

export function createMetastore(deps: MetastoreDeps): RunningMetastore {
  const { sql, clock, log, settings } = deps
  const stopping = new AbortController()
  const wake = new WakeSignal()
  const claims = new JobClaims(deps)
  const planner = new Planner({ ...deps, onJobs: () => wake.wake() })
  const dutySql = deps.database?.dutySql ?? sql
  const cleaner = new Cleaner({ ...deps, sql: dutySql })
  const ensureDays = createDayPartitions(deps)
  const grace = { deletionGraceMs: settings.jobPolicy.deletionGraceMs }
  const { labelSetsPerHourMax } = settings
  const { instanceId: holder, leaseTtlMs } = settings
  const listed = [...listDuties({ settings, cleaner }), ...(deps.duties ?? [])]
  const duties = new Duties({ sql: dutySql, clock, log, holder, leaseTtlMs }, listed)
  return {
    planner,
    cleaner,
    duties,
    ...createReads(deps),
    ...createLoops({ ...deps, planner, cleaner, singletons: duties, wake, stopping }),
    async commitSegment(request) {
      checkSegment(request)
      const outcome = await asWrite(deps, 'commit segment', () =>
        commitSegment(sql, request, { ...grace, labelSetsPerHourMax }),
      )
      planner.noteCommit()
      return await answerCommit(deps, request.objectId, outcome)
    },
    async pollJobs(request, { signal: left } = {}) {
      checkJobTerms([...request.running, ...request.failed, ...request.released])
      const poll = { sql, clock, log, settings, planner, claims, wake, stopping: stopping.signal, left }
      // A poll is as good as the timer; a duty that takes long does not hold it up.
      void duties.tick()
      return await withSqlErrors('poll jobs', () => pollJobs(poll, request))
    },
    async releaseHolders(workerIdPrefix) {
      // The empty prefix is everybody.
      assert(workerIdPrefix !== '', 'holders are released by a prefix of their names')
      const released = await withSqlErrors('release holders', () => releaseHolders(sql, workerIdPrefix))
      if (released.length > 0) {
        log.info('jobs of dead workers queued again', { jobs: released.length, workerIdPrefix })
        wake.wake()
      }
      return released.length
    },
    async commitCompaction(request) {
      checkCompaction(request)
      await withSqlErrors('create partitions', () => ensureDays(request.outputs))
      const commit = () => uncompiled(sql, (session) => commitCompaction(session, request, grace))
      const answer = await asWrite(deps, 'commit compaction', commit)
      logVerdict(log, request, answer)
      planner.noteCommit()
      return answer
    },
    async claimTombstones({ holder, limit }) {
      const claim = { holder, limit: Math.min(limit, TOMBSTONES_PER_CLAIM_MAX), leaseMs: settings.jobPolicy.leaseMs }
      return { tombstones: await withSqlErrors('claim tombstones', () => claimTombstones(sql, claim)) }
    },
    async confirmDeleted(request) {
      const { holder, refused = [] } = request
      if (refused.length > 0) await asWrite(deps, 'defer deletions', () => deferTombstones(sql, { holder, refused }))
      return { forgotten: await asWrite(deps, 'confirm deletions', () => confirmDeleted(sql, request)) }
    },
  }
}

async function answerCommit(
  { sql }: MetastoreDeps,
  objectId: string,
  outcome: SegmentOutcome,
): Promise<CommitSegmentResponse> {
  switch (outcome.kind) {
    case 'committed': {
      const { skips, labelEpoch, expired } = outcome
      return { verdict: 'committed', skips, labelEpoch, expired }
    }
    case 'labels-outdated':
      return { verdict: outcome.kind, skips: [], labelEpoch: outcome.labelEpoch }
    case 'registered': {
      const skips = await withSqlErrors('read verdict', () => readVerdict(sql, objectId))
      return skips === undefined ? { verdict: 'refused', skips: [] } : { verdict: 'replayed', skips }
    }
  }
}

function createReads({
  sql,
  database,
  settings,
}: MetastoreDeps): Pick<Metastore, 'planQuery' | 'streamPlan' | 'labelSets' | 'tenantStats'> {
  const keptSets = new KeptLabelSets()
  const lane = new ReadLane(sql, database?.readSql)
  return {
    async planQuery(request) {
      return {
        objects: await withSqlErrors('plan query', () =>
          lane.read((own) => uncompiled(own, (session) => planQuery(session, request))),
        ),
      }
    },
    async *streamPlan(request) {
      try {
        for await (const objects of lane.stream((own) => streamPlan(own, request))) yield { objects }
      } catch (error) {
        throw toCinderError('stream plan', error)
      }
    },
    async labelSets(request) {
      const { labelSetsMax, labelSetsPerHourMax } = settings
      const sets = await withSqlErrors('label sets', () =>
        lane.read((own) => uncompiled(own, (session) => keptSets.select(session, request, labelSetsMax))),
      )
      if (sets.length > labelSetsMax) throw tooManyLabelSets(request, labelSetsMax)
      if (isCut(sets)) throw cutLabelSets(labelSetsPerHourMax)
      return { sets }
    },
    async tenantStats(request) {
      return await withSqlErrors('tenant stats', () => selectTenantStats(sql, request.tenants))
    },
  }
}

/** The way out is in the sentence: it is read by someone whose label has a value per request, mostly. */
function tooManyLabelSets({ names, namesOnly }: LabelSetsRequest, labelSetsMax: number): CinderError {
  let what = 'label sets'
  if (namesOnly) what = 'label names'
  else if (names.length > 0) what = `combinations of values of ${names.slice(0, NAMES_SHOWN_MAX).join(', ')}`
  return new CinderError(
    'resource_exhausted',
    `the range has more than ${labelSetsMax} different ${what}, the most that one query may list: ` +
      `narrow the range, or ask about labels with fewer values`,
    { reason: 'label_sets_limit' },
  )
}

/** Blocks answer instead, where the query-frontend can ask them. */
function cutLabelSets(labelSetsPerHourMax: number): CinderError {
  return new CinderError(
    'resource_exhausted',
    `an hour of the range has more than ${labelSetsPerHourMax} label sets, the most that are listed without reading ` +
      'profiles: drop labels with a value per request',
    { reason: 'label_sets_limit' },
  )
}

function logVerdict(
  log: Log,
  { jobId, epoch, workerId }: CommitCompactionRequest,
  answer: CommitCompactionResponse,
): void {
  const fields = { jobId, epoch, workerId, ...answer }
  if (answer.verdict === 'not-conserved') log.error('compaction does not conserve, job parked', fields)
  else if (answer.verdict !== 'committed') log.warn('compaction not committed', fields)
}

/** A write that is answered in time: past the deadline its outcome is unknown, and it may still land. */
async function asWrite<T>(deps: MetastoreDeps, operation: string, run: () => Promise<T>): Promise<T> {
  const { clock, settings } = deps
  const done = new AbortController()
  const late = clock.sleep(settings.commitDeadlineMs, done.signal).then(() => {
    throw new CinderError(
      'unavailable',
      `${operation}: no answer from the database within ${settings.commitDeadlineMs} ms`,
      { reason: 'metastore_database', outcome: 'unknown' },
    )
  })
  late.catch(() => undefined)
  try {
    return await Promise.race([withConflictRetries(run), late])
  } catch (error) {
    throw toCinderError(operation, error)
  } finally {
    done.abort()
  }
}

type Outputs = readonly { readonly datasets: readonly { readonly windowStartMs: number }[] }[]

/** Day partitions on demand, asked for once a process and day. */
function createDayPartitions(deps: MetastoreDeps): (outputs: Outputs) => Promise<void> {
  const known = new Set<string>()
  return async (outputs) => {
    const starts = outputs.flatMap((output) => output.datasets.map((dataset) => dataset.windowStartMs))
    for (const partition of datasetPartitions(starts, deps.clock.nowMs())) {
      if (known.has(partition.name)) continue
      if (known.size >= KNOWN_DAYS_MAX) known.clear()
      // A day that could not be attached is not asked for again either: its rows live in the default partition.
      if (!(await ensurePartition(deps.sql, partition))) {
        deps.log.warn('partition not attached, rows go to the default partition', { partition: partition.name })
      }
      known.add(partition.name)
    }
  }
}
