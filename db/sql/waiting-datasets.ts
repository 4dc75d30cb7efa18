/**
 * Live datasets that may be merged now, with the finished blocks they may belong to: the input of window planning.
 *
 * 1. waiting: below the last level in the given ranges, service by service, without tenants that are not compacted, marked
 *    datasets, and what a tenant's deletion hides.
 * 2. Blocks of the last level, of the services and days that have something waiting: a probe for each, as they are few,
 *    and Postgres would rather walk through all days to find them (0.9 s of 1.1 M datasets).
 * 3. held: what open jobs have of these objects, joined once for all: a probe for each dataset took seconds of 10,000 with a
 *    plan that was cached while the table was empty. A dataset of a parked job is left out, as if it were not there; one of
 *    another open job is marked as held.
 */
import type { PlanningRange } from '#core/compaction/plan-cells.ts'
import type { WaitingDataset } from '#core/compaction/plan-windows.ts'
import { LAST_LEVEL } from '#core/compaction/policy.ts'
import { MS_PER_DAY } from '#core/units.ts'
import type { CompactedTenants } from '#core/compaction/tenant-switch.ts'
import type { SqlSession } from '../client.ts'
import { ALL_TENANTS, isCompactedTenant } from './plannable-datasets.ts'

interface Row {
  object_id: string
  dataset_index: number
  level: number
  tenant: string
  service: string
  window_start_ms: number
  size_bytes: number
  created_at_ms: number
  is_held: boolean
  now_ms: number
  waiting_count: number
}

export interface WaitingDatasets {
  readonly waiting: WaitingDataset[]
  readonly nowMs: number
  /** There are more than the limit. */
  readonly isCut: boolean
}

/** At most `limit` of step 1. */
export async function selectWaitingDatasets(
  sql: SqlSession,
  ranges: readonly PlanningRange[],
  options: { readonly limit: number; readonly tenants?: CompactedTenants },
): Promise<WaitingDatasets> {
  const { limit, tenants = ALL_TENANTS } = options
  // A literal: a generic plan would not see that the partial index holds these rows.
  const last = sql.unsafe(String(LAST_LEVEL))
  const columns = sql`d.object_id, d.dataset_index, d.level, d.tenant, d.service, d.window_start_ms, d.size_bytes,
    (extract(epoch from o.created_at) * 1000)::float8 as created_at_ms`
  const mayPlan = sql`${isCompactedTenant(sql, tenants)}
    and not exists (
      select from compaction_marks m
      where m.object_id = d.object_id and m.tenant = d.tenant and m.dataset_index in (-1, d.dataset_index)
    )
    and not exists (select from tenant_incarnations i where i.tenant = d.tenant and d.incarnation < i.live_from)`
  const rows = await sql<Row[]>`
    with waiting as materialized (
      select ${columns}
      from unnest(${ranges.map((r) => r.tenant)}::text[], ${ranges.map((r) => r.fromMs)}::bigint[],
        ${ranges.map((r) => r.toMs)}::bigint[]) as r(tenant, from_ms, to_ms)
      join datasets d on d.tenant = r.tenant and d.window_start_ms >= r.from_ms and d.window_start_ms < r.to_ms
      join objects o on o.id = d.object_id
      where d.is_live and d.level < ${last} and ${mayPlan}
      order by d.tenant, d.service, d.window_start_ms, d.object_id, d.dataset_index limit ${limit}
    ), day as materialized (
      select distinct tenant, service, window_start_ms - mod(window_start_ms, ${MS_PER_DAY}::bigint) as start_ms from waiting
    ), found as materialized (
      select * from waiting
      union all
      select ${columns}
      from day cross join lateral (
        select * from datasets d
        where d.window_start_ms = day.start_ms and d.tenant = day.tenant and d.service = day.service
          and d.is_live and d.level = ${last} offset 0
      ) as d
      join objects o on o.id = d.object_id
      where ${mayPlan}
    ), held as materialized (
      select distinct on (js.object_id, i.index) js.object_id, i.index, j.state
      from (select distinct object_id from found) as f
      join job_sources js on js.object_id = f.object_id
      join jobs j on j.id = js.job_id
      cross join lateral unnest(js.indexes) as i(index)
      order by js.object_id, i.index, j.id
    )
    select f.*, h.state is not null as is_held, (extract(epoch from now()) * 1000)::float8 as now_ms,
      (select count(*) from waiting)::int as waiting_count
    from found f left join held h on h.object_id = f.object_id and h.index = f.dataset_index
    where h.state is distinct from 'parked'`
  const [first] = rows
  return { waiting: rows.map(toDataset), nowMs: first?.now_ms ?? 0, isCut: (first?.waiting_count ?? 0) >= limit }
}

function toDataset(row: Row): WaitingDataset {
  return {
    objectId: row.object_id,
    index: row.dataset_index,
    level: row.level,
    tenant: row.tenant,
    service: row.service,
    windowStartMs: row.window_start_ms,
    sizeBytes: row.size_bytes,
    createdAtMs: row.created_at_ms,
    isHeld: row.is_held,
  }
}
