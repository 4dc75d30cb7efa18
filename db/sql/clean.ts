/**
 * What time removes, in batches, each a short transaction of its own: profile ids after 15 minutes, closed jobs after an
 * hour, rows of deleted objects after seven days (until then a replayed commit gets its first verdict).
 * Rows are picked by index and locked in key order, so that a batch never waits for a commit or deadlocks with one.
 */
import type { SqlSession } from '../client.ts'

export interface CleanLimits {
  readonly ageMs: number
  readonly batchRows: number
}

export async function deleteExpiredProfileIds(sql: SqlSession, limits: CleanLimits): Promise<number> {
  const result = await sql`
    with expired as materialized (
      select id from profile_ids where created_at < now() - ${limits.ageMs}::float8 * interval '1 millisecond'
      order by created_at limit ${limits.batchRows} for update skip locked
    )
    delete from profile_ids p using expired where p.id = expired.id`
  return result.count
}

export async function deleteClosedJobs(sql: SqlSession, limits: CleanLimits): Promise<number> {
  const result = await sql`
    with closed as materialized (
      select id from jobs where state in ('done', 'stale')
        and finished_at < now() - ${limits.ageMs}::float8 * interval '1 millisecond'
      order by finished_at limit ${limits.batchRows} for update skip locked
    )
    delete from jobs j using closed where j.id = closed.id`
  return result.count
}

export async function deleteForgottenObjects(sql: SqlSession, limits: CleanLimits): Promise<number> {
  const result = await sql`
    with forgotten as materialized (
      select id from objects where deleted_at < now() - ${limits.ageMs}::float8 * interval '1 millisecond'
      order by deleted_at limit ${limits.batchRows} for update skip locked
    ), freed as (
      delete from object_ids i using forgotten where i.id = forgotten.id
    )
    delete from objects o using forgotten where o.id = forgotten.id`
  return result.count
}
