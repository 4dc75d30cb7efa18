/**
 * Segments of which nothing may be planned leave the planner's index until somebody changes that: those whose live
 * datasets all belong to tenants that are not compacted, or are marked. Without it a tenant that is switched off and
 * writes four segments a second would be walked through twice a second, 345,600 rows after a day.
 * Only segments that no open job holds: what a job gives back must be found again.
 */
import type { CompactedTenants } from '#core/compaction/tenant-switch.ts'
import type { SqlSession } from '../client.ts'
import { plannableDatasets } from './plannable-datasets.ts'

export async function markIdleSegments(sql: SqlSession, limit: number, tenants: CompactedTenants): Promise<number> {
  const result = await sql`
    with idle as materialized (
      select s.created_at, s.object_id
      from segments s cross join lateral (${plannableDatasets(sql, tenants)}) as w
      where s.is_live and not s.is_idle and w.n = 0
        and not exists (select from job_sources js where js.object_id = s.object_id)
      order by s.created_at, s.object_id limit ${limit} for update of s skip locked
    )
    update segments s set is_idle = true
    from idle where s.created_at = idle.created_at and s.object_id = idle.object_id`
  return result.count
}

/** After a change of a switch or a mark: planning looks at them again, and finds out what is still idle. */
export async function wakeIdleSegments(
  sql: SqlSession,
  limit: number,
  of: { readonly tenant?: string; readonly objectId?: string },
): Promise<number> {
  const { tenant, objectId } = of
  const result = await sql`
    with woken as materialized (
      select s.created_at, s.object_id from segments s
      where s.is_live and s.is_idle
        and (${tenant ?? null}::text is null or s.tenant @> array[${tenant ?? ''}::text])
        and (${objectId ?? null}::text is null or s.object_id = ${objectId ?? ''}::text)
      order by s.created_at, s.object_id limit ${limit} for update
    )
    update segments s set is_idle = false
    from woken where s.created_at = woken.created_at and s.object_id = woken.object_id`
  return result.count
}
