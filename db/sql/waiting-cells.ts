/**
 * The next cells of planning above level 1 (core/compaction/plan-cells.ts): tenant and window start of live datasets below
 * the last level, with the lowest level of each. A loose scan of the index: one step a cell and partition, however many
 * datasets a cell has.
 */
import type { PlanningCell } from '#core/compaction/plan-cells.ts'
import { LAST_LEVEL } from '#core/compaction/policy.ts'
import type { SqlSession } from '../client.ts'

/** Cells above it are next. */
export interface CellCursor {
  readonly tenant: string
  readonly windowStartMs: number
}

/** Before every cell: no tenant has an empty name. */
export const FIRST_CELL: CellCursor = { tenant: '', windowStartMs: 0 }

/** Ascending by tenant and window start; at most `limit`. With the database's time. */
export async function selectWaitingCells(
  sql: SqlSession,
  after: CellCursor,
  limit: number,
): Promise<{ cells: PlanningCell[]; nowMs: number }> {
  // A literal: a generic plan would not see that the partial index holds these rows.
  const last = sql.unsafe(String(LAST_LEVEL))
  const next = sql`select d.tenant, d.window_start_ms, d.level from datasets d`
  const first = sql`order by d.tenant, d.window_start_ms, d.level limit 1`
  const rows = await sql<{ tenant: string; window_start_ms: number; level: number; now_ms: number }[]>`
    with recursive cell as (
      (${next} where d.is_live and d.level < ${last}
        and (d.tenant, d.window_start_ms) > (${after.tenant}::text, ${after.windowStartMs}::bigint) ${first})
      union all
      select n.* from cell c cross join lateral (
        ${next} where d.is_live and d.level < ${last}
          and (d.tenant, d.window_start_ms) > (c.tenant, c.window_start_ms) ${first}
      ) as n
    )
    select tenant, window_start_ms, level, (extract(epoch from now()) * 1000)::float8 as now_ms
    from cell limit ${limit}`
  const cells = rows.map((row) => ({ tenant: row.tenant, windowStartMs: row.window_start_ms, levelMin: row.level }))
  return { cells, nowMs: rows[0]?.now_ms ?? 0 }
}
