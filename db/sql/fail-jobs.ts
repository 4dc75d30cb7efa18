/**
 * A running job failed, by its worker's report or by a lease that ran out. Both count: a worker that dies without a word
 * on the same job must not be fed with it for ever. The last allowed failure parks the job with its reason; before that
 * it waits, each time twice as long. Parked jobs keep their sources and are never evicted.
 */
import type { JobQueuePolicy } from '#core/compaction/policy.ts'
import type { SqlSession } from '../client.ts'
import type { JobTerm } from './renew-jobs.ts'

/** A reason is for people: what does not fit is cut. */
const REASON_CHARS_MAX = 2_000
/** Leases taken away in one statement: bounds the time its rows stay locked. */
const EXPIRED_PER_CALL_MAX = 500

/** Reports of one worker. A report under an old epoch changes nothing. Returns the jobs it changed. */
export async function failJobs(
  sql: SqlSession,
  failed: readonly (JobTerm & { readonly reason: string })[],
  options: { readonly workerId: string; readonly policy: JobQueuePolicy },
): Promise<{ jobId: string; state: string }[]> {
  if (failed.length === 0) return []
  const rows = await sql<{ id: number; state: string }[]>`
    with held as materialized (
      select j.id, f.reason from unnest(
        ${failed.map((job) => job.jobId)}::text[], ${failed.map((job) => job.epoch)}::bigint[],
        ${failed.map((job) => job.reason.slice(0, REASON_CHARS_MAX))}::text[]
      ) as f(id, epoch, reason)
      join jobs j on j.id = f.id::bigint
      where j.state = 'running' and j.epoch = f.epoch and j.holder = ${options.workerId}
      order by j.id for update of j
    )
    update jobs j set ${afterFailure(sql, options.policy)}, reason = held.reason
    from held where j.id = held.id returning j.id, j.state`
  return rows.map((row) => ({ jobId: String(row.id), state: row.state }))
}

export async function failExpiredJobs(
  sql: SqlSession,
  policy: JobQueuePolicy,
): Promise<{ jobId: string; state: string }[]> {
  const rows = await sql<{ id: number; state: string }[]>`
    with expired as materialized (
      select id from jobs where state = 'running' and expires_at <= now()
      order by id limit ${EXPIRED_PER_CALL_MAX} for update skip locked
    )
    update jobs j set ${afterFailure(sql, policy)}, reason = 'lease expired: no word from ' || j.holder
    from expired where j.id = expired.id returning j.id, j.state`
  return rows.map((row) => ({ jobId: String(row.id), state: row.state }))
}

function afterFailure(sql: SqlSession, policy: JobQueuePolicy) {
  return sql`state = case when j.failures + 1 >= ${policy.failuresMax} then 'parked' else 'queued' end,
    failures = j.failures + 1, holder = null, expires_at = null,
    not_before = now() + interval '1 millisecond'
      * least(${policy.backoffMaxMs}::float8, ${policy.backoffBaseMs}::float8 * 2 ^ least(j.failures, 30))`
}
