/**
 * Leases of running jobs are extended: the exact term (job, epoch, holder), or not at all.
 * A lease that ran out but was not taken away yet may be renewed: after a stall of Postgres all workers keep their work.
 * A job that runs for longer than it may is not renewed: its worker hears that it is lost.
 */
import type { SqlSession } from '../client.ts'

export interface JobTerm {
  readonly jobId: string
  readonly epoch: number
}

/** Ids of the jobs that are not the worker's any more. */
export async function renewJobs(
  sql: SqlSession,
  running: readonly (JobTerm & { readonly progress?: number })[],
  options: { readonly workerId: string; readonly leaseMs: number; readonly jobTimeMaxMs: number },
): Promise<string[]> {
  if (running.length === 0) return []
  const progress = running.map((job) => String(Math.min(1, Math.max(0, job.progress ?? 0)) || 0))
  const renewed = await sql<{ id: number }[]>`
    with held as materialized (
      select j.id, r.progress::real as progress from unnest(
        ${running.map((job) => job.jobId)}::text[], ${running.map((job) => job.epoch)}::bigint[], ${progress}::text[]
      ) as r(id, epoch, progress)
      join jobs j on j.id = r.id::bigint
      where j.state = 'running' and j.epoch = r.epoch and j.holder = ${options.workerId}
        and coalesce(j.started_at, now()) > now() - ${options.jobTimeMaxMs}::float8 * interval '1 millisecond'
      order by j.id for update of j
    )
    update jobs j set expires_at = now() + ${options.leaseMs}::float8 * interval '1 millisecond', progress = held.progress
    from held where j.id = held.id returning j.id`
  const kept = new Set(renewed.map((row) => String(row.id)))
  return running.map((job) => job.jobId).filter((jobId) => !kept.has(jobId))
}
