/**
 * A running job failed, by its worker's report or by a lease that ran out. Both count: a worker that dies without a word
 * on the same job must not be fed with it for ever.
 *
 * One transaction a job: its row is locked, the failure is written down, what it holds is read, the rule of
 * core/compaction/after-failure.ts decides, and the verdict is applied. Parked jobs keep their sources and are never
 * evicted. Failures are rare, and a transaction touches the rows of one job alone.
 */
import { afterFailure } from '#core/compaction/after-failure.ts'
import { failureKindOf, type JobFailureKind } from '#core/compaction/job-failure.ts'
import type { JobQueuePolicy } from '#core/compaction/policy.ts'
import type { DatasetRef, FailedJob } from '#core/rpc/metastore.ts'
import type { Sql, SqlSession } from '../client.ts'
import { JOBS_CHANNEL } from './insert-jobs.ts'
import { selectJobDatasets } from './job-datasets.ts'
import { liveGenerations } from './queue-generations.ts'
import { splitJob } from './split-job.ts'

/** A reason is for people: what does not fit is cut. */
const REASON_CHARS_MAX = 2_000
/** Leases taken away in one call, each in about 3 ms: the next pass, half a second later, takes the rest. */
const EXPIRED_PER_CALL_MAX = 50
/** What a job keeps of its history: three rounds of a bisection by hand. */
const FAILURES_KEPT_MAX = 32
/** Over what time an outage is told from poison. */
const LATELY_SECONDS = 60

export interface JobOutcome {
  readonly jobId: string
  readonly state: 'queued' | 'parked' | 'split'
  /** Of a split. */
  readonly partIds: readonly string[]
  readonly reason: string
}

interface Failing {
  readonly jobId: string
  readonly holder: string
  readonly epoch: number
  readonly failures: number
  readonly kind: JobFailureKind
  readonly culprits: readonly DatasetRef[]
  readonly reason: string
}

/** Reports of one worker. A report under an old epoch changes nothing. Returns the jobs it changed. */
export async function failJobs(
  sql: Sql,
  failed: readonly FailedJob[],
  options: { readonly workerId: string; readonly policy: JobQueuePolicy },
): Promise<JobOutcome[]> {
  const outcomes: JobOutcome[] = []
  for (const { jobId, epoch, reason, kind, culprits } of failed) {
    const outcome = await sql.begin(async (tx) => {
      const [held] = await tx<{ failures: number }[]>`
        select failures from jobs where id = ${jobId}::bigint and state = 'running' and epoch = ${epoch}
          and holder = ${options.workerId} for update`
      if (held === undefined) return undefined
      const failing: Failing = {
        jobId,
        epoch,
        holder: options.workerId,
        failures: held.failures,
        kind: failureKindOf(kind),
        culprits: culprits ?? [],
        reason: reason.replaceAll('\0', '').slice(0, REASON_CHARS_MAX),
      }
      return await applyFailure(tx, failing, options.policy)
    })
    if (outcome !== undefined) outcomes.push(outcome)
  }
  return outcomes
}

/** Leases that ran out, and jobs that run for longer than they may. Those that another metastore takes are passed over. */
export async function failExpiredJobs(sql: Sql, policy: JobQueuePolicy): Promise<JobOutcome[]> {
  const isExpired = (tx: SqlSession) => tx`(expires_at <= now()
    or started_at <= now() - ${policy.jobTimeMaxMs}::float8 * interval '1 millisecond')`
  const expired = await sql<{ id: number }[]>`
    select id from jobs where state = 'running' and generation = any(${liveGenerations(sql)}) and ${isExpired(sql)}
    order by id limit ${EXPIRED_PER_CALL_MAX}`
  const outcomes: JobOutcome[] = []
  for (const { id } of expired) {
    const outcome = await sql.begin(async (tx) => {
      const [held] = await tx<{ failures: number; holder: string; epoch: number; is_late: boolean }[]>`
        select failures, holder, epoch, expires_at > now() as is_late
        from jobs where id = ${id} and state = 'running' and ${isExpired(tx)} for update skip locked`
      if (held === undefined) return undefined
      const { holder, epoch, failures } = held
      const reason = held.is_late
        ? `ran for more than ${policy.jobTimeMaxMs} ms on ${holder}`
        : `lease expired: no word from ${holder}`
      const failing: Failing = { jobId: String(id), epoch, holder, failures, kind: 'error', culprits: [], reason }
      return await applyFailure(tx, failing, policy)
    })
    if (outcome !== undefined) outcomes.push(outcome)
  }
  return outcomes
}

async function applyFailure(tx: SqlSession, failing: Failing, policy: JobQueuePolicy): Promise<JobOutcome> {
  const { jobId, kind, reason, culprits, failures } = failing
  await noteFailure(tx, failing)
  const datasets = await selectJobDatasets(tx, jobId)
  const lately = await selectLately(tx)
  const verdict = afterFailure({ kind, culprits, failures, datasets, lately }, policy)
  if (verdict.kind === 'split') {
    const { ageingBytesPerSecond } = policy
    const partIds = await splitJob(tx, { jobId, kind, reason, ageingBytesPerSecond, parts: verdict.parts })
    return { jobId, state: 'split', partIds, reason }
  }
  const state = verdict.kind === 'park' ? 'parked' : 'queued'
  const delayMs = verdict.kind === 'park' ? 0 : verdict.delayMs
  await tx`
    update jobs set state = ${state}, failures = ${verdict.failures}, holder = null, expires_at = null,
      started_at = null, progress = 0, reason = ${reason}, failure_kind = ${kind},
      not_before = now() + ${delayMs}::float8 * interval '1 millisecond',
      rank = greatest(rank, extract(epoch from now()) + ${delayMs / 1_000}::float8)
    where id = ${jobId}::bigint`
  if (state === 'queued') await tx`select pg_notify(${JOBS_CHANNEL}, '')`
  return { jobId, state, partIds: [], reason }
}

async function noteFailure(tx: SqlSession, { jobId, holder, epoch, kind, reason }: Failing): Promise<void> {
  await tx`
    insert into job_failures (job_id, holder, epoch, kind, reason)
    values (${jobId}::bigint, ${holder}, ${epoch}, ${kind}, ${reason})`
  await tx`
    delete from job_failures where job_id = ${jobId}::bigint and id <= (
      select id from job_failures where job_id = ${jobId}::bigint order by id desc offset ${FAILURES_KEPT_MAX} limit 1
    )`
}

/** Of the last minute: how many different jobs failed, and how many were committed. */
async function selectLately(tx: SqlSession): Promise<{ failedJobs: number; committedJobs: number }> {
  const [row] = await tx<{ failed_jobs: number; committed_jobs: number }[]>`
    select
      (select count(distinct job_id) from job_failures
        where not is_inherited and failed_at > now() - ${LATELY_SECONDS} * interval '1 second') as failed_jobs,
      (select count(*) from jobs where state in ('done', 'stale') and output_ids is not null
        and finished_at > now() - ${LATELY_SECONDS} * interval '1 second') as committed_jobs`
  return { failedJobs: row!.failed_jobs, committedJobs: row!.committed_jobs }
}
