/**
 * Segments of which nothing may be planned leave the planner's index until somebody changes that: those whose live
 * datasets all belong to tenants that are not compacted, or are marked. Without it a tenant that is switched off and
 * writes four segments a second would be walked through twice a second, 345,600 rows after a day.
 *
 * 1. Only segments that no open job holds become idle: what a job gives back must be found again.
 *    Nor those that a tenant's deletion hides: it may be undone, and unpacks them within seconds otherwise.
 * 2. They become idle by the switches and marks that are read under a lock, and a change is made under the same lock. So
 *    what a change wakes afterwards does not fall asleep again by what was true before it.
 */
import type { CompactedTenants } from '#core/compaction/tenant-switch.ts'
import type { Sql, SqlSession } from '../client.ts'
import { selectTenantSwitches, type TenantSwitch } from './compaction-tenants.ts'
import { plannableSizes } from './plannable-datasets.ts'

/** A change wakes all that it concerns, batch by batch; an hour of a busy writer is three. */
const WAKE_BATCH_ROWS = 5_000
const WAKE_BATCHES_MAX = 1_000

/** Runs a change of switches or marks, or their use, one at a time. */
export async function withPlanRules<T>(sql: Sql, run: (tx: SqlSession) => Promise<T>): Promise<T> {
  return (await sql.begin(async (tx) => {
    await tx`select pg_advisory_xact_lock(hashtextextended('plan rules', 0))`
    return await run(tx)
  })) as T
}

export async function markIdleSegments(
  sql: Sql,
  limit: number,
  decide: (switched: readonly TenantSwitch[]) => CompactedTenants,
): Promise<number> {
  return await withPlanRules(sql, async (tx) => {
    const tenants = decide(await selectTenantSwitches(tx))
    const result = await tx`
      with idle as materialized (
        select s.created_at, s.object_id
        from segments s cross join lateral (${plannableSizes(tx, tenants)}) as w
        where s.is_live and not s.is_idle
          and not exists (select from job_sources js where js.object_id = s.object_id) and w.n = 0
          and not exists (
            select from unnest(s.tenant) with ordinality as h(tenant, n)
            join tenant_incarnations i on i.tenant = h.tenant and coalesce(s.incarnation[h.n], 1) < i.live_from
            where get_bit(s.live, (h.n - 1)::int) = 1
          )
        order by s.created_at, s.object_id limit ${limit} for update of s skip locked
      )
      update segments s set is_idle = true
      from idle where s.created_at = idle.created_at and s.object_id = idle.object_id`
    return result.count
  })
}

/**
 * Those of which something may be planned by these rules: what a process with other settings left idle. Batch by batch,
 * under the lock of the rules. Returns how many.
 */
export async function wakePlannable(
  sql: Sql,
  decide: (switched: readonly TenantSwitch[]) => CompactedTenants,
): Promise<number> {
  let woken = 0
  for (let batch = 0; batch < WAKE_BATCHES_MAX; batch++) {
    const count = await withPlanRules(sql, async (tx) => {
      const tenants = decide(await selectTenantSwitches(tx))
      const result = await tx`
        with woken as materialized (
          select s.created_at, s.object_id
          from segments s cross join lateral (${plannableSizes(tx, tenants)}) as w
          where s.is_live and s.is_idle and w.n > 0
          order by s.created_at, s.object_id limit ${WAKE_BATCH_ROWS} for update of s
        )
        update segments s set is_idle = false
        from woken where s.created_at = woken.created_at and s.object_id = woken.object_id`
      return result.count
    })
    woken += count
    if (count < WAKE_BATCH_ROWS) break
  }
  return woken
}

/** After a change: planning looks at them again. Returns how many. */
export async function wakeIdleSegments(
  sql: SqlSession,
  of: { readonly tenant?: string; readonly objectId?: string },
): Promise<number> {
  const { tenant, objectId } = of
  let woken = 0
  for (let batch = 0; batch < WAKE_BATCHES_MAX; batch++) {
    const result = await sql`
      with woken as materialized (
        select s.created_at, s.object_id from segments s
        where s.is_live and s.is_idle
          ${tenant === undefined ? sql`` : sql`and ${tenant}::text = any(s.tenant)`}
          ${objectId === undefined ? sql`` : sql`and s.object_id = ${objectId}::text`}
        order by s.created_at, s.object_id limit ${WAKE_BATCH_ROWS} for update
      )
      update segments s set is_idle = false
      from woken where s.created_at = woken.created_at and s.object_id = woken.object_id`
    woken += result.count
    if (result.count < WAKE_BATCH_ROWS) break
  }
  return woken
}
