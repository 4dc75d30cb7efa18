/**
 * A metastore whose calls are counted and timed, at the side that calls. What it sees depends on who calls: a
 * segment-writer commits segments, a worker takes and commits jobs and deletes objects. Names that dashboards of the
 * peers ask for are kept; `level` is that of a job's inputs there.
 */
import { CinderError } from '#core/errors.ts'
import type {
  CompactionJob,
  DatasetDescriptor,
  Metastore,
  PlanQueryRequest,
  PlanQueryResponse,
} from '#core/rpc/metastore.ts'
import { isUlid, ulidTimeMs } from '#core/wire/ulid.ts'
import { TENANTS_MAX } from './metered-pushes.ts'
import { DURATION_BUCKETS, type Registry, SIZE_BUCKETS } from './registry.ts'

const METHODS_MAX = 16
const LEVELS_MAX = 16
const OUTCOMES_MAX = 24
/** Jobs whose end is not known yet; one that is lost or given back is forgotten with its poll. */
const OPEN_JOBS_MAX = 1_000
/** 1 s to 4 h, double: first compaction is promised in seconds, the last levels take a day. */
const WAIT_BUCKETS: readonly number[] = Array.from({ length: 15 }, (_, i) => 2 ** i)

/** 1 to 4 M, four to one. */
const COUNT_BUCKETS: readonly number[] = Array.from({ length: 12 }, (_, i) => 4 ** i)

interface OpenJob {
  readonly level: string
  readonly startedMs: number
  readonly oldestMs: number | undefined
}

export function meterMetastore(inner: Metastore, registry: Registry, nowMs: () => number): Metastore {
  const timed = createTimer(registry, nowMs)
  const flushes = createFlushMeter(registry)
  const jobs = new JobMeter(registry, nowMs)
  const deleted = registry.counter(
    'pyroscope_compaction_worker_blocks_deleted_total',
    'Objects deleted and confirmed.',
    {
      status: 2,
    },
  )
  return {
    async commitSegment(...call) {
      const answer = await timed('commit_segment', () => inner.commitSegment(...call))
      const [request] = call
      // What is asked for again is counted when it comes.
      if (answer.verdict !== 'labels-outdated') flushes(request.sizeBytes, request.datasets)
      return answer
    },
    async pollJobs(...call) {
      // Its duration is how long it waited.
      const answer = await inner.pollJobs(...call)
      const [request] = call
      for (const { jobId } of request.failed) jobs.end(jobId, 'failure')
      for (const { jobId } of request.released) jobs.end(jobId, 'released')
      for (const jobId of answer.lost) jobs.end(jobId, 'lost')
      for (const job of answer.jobs) jobs.begin(job)
      return answer
    },
    async commitCompaction(...call) {
      const [request] = call
      const answer = await timed('commit_compaction', () => inner.commitCompaction(...call))
      jobs.end(request.jobId, answer.verdict === 'committed' ? 'success' : answer.verdict)
      return answer
    },
    planQuery: (...call) => timed('plan_query', () => inner.planQuery(...call)),
    ...(inner.streamPlan === undefined ? {} : { streamPlan: (request) => timedParts(timed, inner, request) }),
    labelSets: (...call) => timed('label_sets', () => inner.labelSets(...call)),
    tenantStats: (...call) => timed('tenant_stats', () => inner.tenantStats(...call)),
    claimTombstones: (...call) => timed('claim_tombstones', () => inner.claimTombstones(...call)),
    async confirmDeleted(...call) {
      const answer = await timed('confirm_deleted', () => inner.confirmDeleted(...call))
      deleted.add(answer.forgotten, 'success')
      return answer
    },
  }
}

/** From the first part that is asked for to the last, with what is done between; one that is left half-way too. */
async function* timedParts(
  timed: Timer,
  inner: Metastore,
  request: PlanQueryRequest,
): AsyncGenerator<PlanQueryResponse> {
  const ended = Promise.withResolvers<void>()
  const counted = timed('stream_plan', () => ended.promise)
  // The caller gets the error from the parts.
  counted.catch(() => undefined)
  try {
    yield* inner.streamPlan!(request)
  } catch (error) {
    ended.reject(error)
    throw error
  } finally {
    ended.resolve()
    await counted.catch(() => undefined)
  }
}

type Timer = <T>(method: string, run: () => Promise<T>) => Promise<T>

function createTimer(registry: Registry, nowMs: () => number): Timer {
  const labels = { method: METHODS_MAX, outcome: OUTCOMES_MAX }
  const duration = registry.histogram('cinder_metastore_call_duration_seconds', 'Calls of the metastore.', {
    buckets: DURATION_BUCKETS,
    labels,
  })
  const stored = registry.histogram(
    'pyroscope_segment_writer_store_metadata_duration_seconds',
    'Duration of store metadata requests.',
    { buckets: DURATION_BUCKETS, labels: { status: 2 } },
  )
  return async (method, run) => {
    const startedMs = nowMs()
    let outcome = 'ok'
    try {
      return await run()
    } catch (error) {
      outcome = error instanceof CinderError ? error.kind : 'unknown'
      throw error
    } finally {
      const seconds = Math.max(0, nowMs() - startedMs) / 1_000
      duration.observe(seconds, method, outcome)
      if (method === 'commit_segment') stored.observe(seconds, outcome === 'ok' ? 'success' : 'failure')
    }
  }
}

function createFlushMeter(registry: Registry) {
  const size = registry.histogram('pyroscope_segment_writer_segment_size_bytes', 'Bytes of a segment, one flush.', {
    buckets: SIZE_BUCKETS,
  })
  const profiles = registry.counter('cinder_segment_profiles_total', 'Profiles in committed segments.')
  const samples = registry.counter('cinder_segment_samples_total', 'Samples in committed segments.')
  const received = registry.histogram(
    'pyroscope_distributor_received_samples',
    'Samples received, by dataset of a segment.',
    {
      buckets: COUNT_BUCKETS,
      labels: { tenant: TENANTS_MAX },
    },
  )
  const datasets = registry.counter('cinder_segment_datasets_total', 'Datasets in committed segments.')
  return (sizeBytes: number, list: readonly DatasetDescriptor[]) => {
    size.observe(sizeBytes)
    datasets.add(list.length)
    for (const { tenant, profileCount, sampleCount } of list) {
      received.observe(sampleCount, tenant)
      profiles.add(profileCount)
      samples.add(sampleCount)
    }
  }
}

/** Jobs from the poll that gave them out to their end. */
class JobMeter {
  readonly #nowMs: () => number
  readonly #open = new Map<string, OpenJob>()
  readonly #completed
  readonly #duration
  readonly #wait

  constructor(registry: Registry, nowMs: () => number) {
    this.#nowMs = nowMs
    const level = { level: LEVELS_MAX }
    this.#completed = registry.counter(
      'pyroscope_compaction_worker_jobs_completed_total',
      'Total number of compaction jobs completed.',
      {
        ...level,
        status: OUTCOMES_MAX,
      },
    )
    this.#duration = registry.histogram(
      'pyroscope_compaction_worker_job_duration_seconds',
      'Duration of compaction job runs',
      {
        buckets: DURATION_BUCKETS,
        labels: { ...level, status: OUTCOMES_MAX },
      },
    )
    this.#wait = registry.histogram(
      'pyroscope_compaction_worker_time_to_compaction_seconds',
      'The time elapsed since the oldest compacted block was created.',
      { buckets: WAIT_BUCKETS, labels: level },
    )
    const running = registry.gauge(
      'pyroscope_compaction_worker_jobs_in_progress',
      'The number of active compaction jobs currently running.',
      level,
    )
    registry.collect(() => {
      running.clear()
      const counts = new Map<string, number>()
      for (const { level } of this.#open.values()) counts.set(level, (counts.get(level) ?? 0) + 1)
      for (const [level, count] of counts) running.set(count, level)
    })
  }

  begin(job: CompactionJob): void {
    if (this.#open.size >= OPEN_JOBS_MAX) this.#open.clear()
    const times = job.sources.flatMap(({ objectId }) => (isUlid(objectId) ? [ulidTimeMs(objectId)] : []))
    this.#open.set(job.jobId, {
      level: String(job.level - 1),
      startedMs: this.#nowMs(),
      oldestMs: times.length === 0 ? undefined : Math.min(...times),
    })
  }

  end(jobId: string, status: string): void {
    const job = this.#open.get(jobId)
    if (job === undefined) return
    this.#open.delete(jobId)
    const endMs = this.#nowMs()
    this.#completed.add(1, job.level, status)
    this.#duration.observe(Math.max(0, endMs - job.startedMs) / 1_000, job.level, status)
    if (status === 'success' && job.oldestMs !== undefined) {
      this.#wait.observe(Math.max(0, endMs - job.oldestMs) / 1_000, job.level)
    }
  }
}
