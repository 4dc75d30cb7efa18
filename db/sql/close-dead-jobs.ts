/**
 * Parked jobs none of whose data is live any more, because retention, a deletion or another job took it: they
 * are closed as stale, and their sources are free. So a parked job goes when its data does, and not before. A queued one
 * finds out by itself, its commit will be stale; unless the objects are gone too: then it never comes to a commit, and
 * where all that is left are such jobs none of them would ever be blamed (core/compaction/after-failure.ts, 5).
 */
import type { JobFailureKind } from '#core/compaction/job-failure.ts'
import type { CompactedTenants } from '#core/compaction/tenant-switch.ts'
import type { SqlSession } from '../client.ts'
import { isCompactedTenant } from './plannable-datasets.ts'

const MISSING: JobFailureKind = 'missing-source'
/** Parked jobs are few; the next pass, ten seconds later, takes the rest. */
const JOBS_PER_CALL_MAX = 200

export async function closeDeadJobs(sql: SqlSession): Promise<string[]> {
  const rows = await sql<{ id: number }[]>`
    with dead as materialized (
      select j.id from jobs j
      where (j.state = 'parked' or (j.state = 'queued' and j.failure_kind = ${MISSING}))
        and not exists (
          select from job_sources js join objects o on o.id = js.object_id
          join segments s on s.created_at = o.created_at and s.object_id = o.id
          cross join lateral unnest(js.indexes) as i(index)
          where js.job_id = j.id and s.is_live and i.index < length(s.live) and get_bit(s.live, i.index) = 1
        )
        and not exists (
          select from job_sources js cross join lateral (
            select from datasets d where d.object_id = js.object_id and d.dataset_index = any(js.indexes) and d.is_live offset 0
          ) as d where js.job_id = j.id
        )
      order by j.id limit ${JOBS_PER_CALL_MAX} for update of j skip locked
    ), freed as (
      delete from job_sources js using dead where js.job_id = dead.id
    )
    update jobs j set state = 'stale', finished_at = now(), reason = 'its data is gone'
    from dead where j.id = dead.id returning j.id`
  return rows.map((row) => String(row.id))
}

/** Queued jobs of tenants that were switched off after planning: nobody would ever take them. Their data is planned anew. */
export async function closeSwitchedOffJobs(sql: SqlSession, tenants: CompactedTenants): Promise<string[]> {
  if (tenants.off.length === 0 && tenants.only === undefined) return []
  const rows = await sql<{ id: number }[]>`
    with off as materialized (
      select d.id from jobs d where d.state = 'queued' and d.tenant <> '' and not ${isCompactedTenant(sql, tenants)}
      order by d.id limit ${JOBS_PER_CALL_MAX} for update skip locked
    ), freed as (
      delete from job_sources js using off where js.job_id = off.id
    )
    update jobs j set state = 'stale', finished_at = now(), reason = 'compaction of its tenant is off'
    from off where j.id = off.id returning j.id`
  return rows.map((row) => String(row.id))
}
