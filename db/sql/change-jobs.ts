/**
 * What people change about a job. The state that allows it is part of the statement: of two who change one job at once
 * the second sees what the first made of it.
 */
import type { SqlSession } from '../client.ts'
import { JOBS_CHANNEL } from './insert-jobs.ts'
import { virtualNow } from './virtual-now.ts'

/** Parked or queued: queued at once, with the failures forgiven and the history kept. False: there is no such job. */
export async function retryJob(
  sql: SqlSession,
  jobId: string,
  options: { readonly ageingBytesPerSecond: number; readonly isSharded: boolean },
): Promise<boolean> {
  const rows = await sql`
    with retried as (
      update jobs set state = 'queued', failures = 0, not_before = now(),
        arrival_tag = ${virtualNow(sql, options)},
        rank = extract(epoch from now()) + size_bytes / ${options.ageingBytesPerSecond}::float8
      where id = ${jobId}::bigint and state in ('parked', 'queued') returning id
    )
    select id, pg_notify(${JOBS_CHANNEL}, '') from retried`
  return rows.length === 1
}

/** Queued or running: parked with the reason. Who runs it has lost it: what it sends is refused. */
export async function parkJob(sql: SqlSession, jobId: string, reason: string): Promise<boolean> {
  const rows = await sql`
    update jobs set state = 'parked', reason = ${reason}, holder = null, expires_at = null, started_at = null,
      progress = 0
    where id = ${jobId}::bigint and state in ('queued', 'running') returning id`
  return rows.length === 1
}
