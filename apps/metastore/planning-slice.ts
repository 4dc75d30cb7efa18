/**
 * What one pass of planning above level 1 looks at: the next slice of tenants' windows with work in them, so that a pass
 * costs the same however many datasets rest, and no tenant or window is ever left out.
 *
 * 1. The next cells after the cursor, cut to whole days of tenants; of those the ranges with work (plan-cells.ts).
 * 2. Their datasets, a few ranges at a time, until there are enough. A range is loaded whole, with one exception: a window
 *    of a tenant with more datasets than one answer may have is loaded service by service up to there.
 * 3. The cursor goes behind what was loaded; at the end it starts again. What fails to load ends the slice before it, and fails the
 *    next one, which begins with it.
 */
import { planRanges, type PlanningCell, type PlanningRange, wholeDays } from '#core/compaction/plan-cells.ts'
import type { WaitingDataset } from '#core/compaction/plan-windows.ts'
import type { WindowCompactionPolicy } from '#core/compaction/policy.ts'
import type { CompactedTenants } from '#core/compaction/tenant-switch.ts'
import type { Sql } from '#db/client.ts'
import { type CellCursor, FIRST_CELL, selectWaitingCells } from '#db/sql/waiting-cells.ts'
import { selectWaitingDatasets } from '#db/sql/waiting-datasets.ts'

export interface SliceLimits {
  /** Index steps of one statement, times the partitions. */
  readonly cellsMax: number
  /** No further range is loaded after so many datasets. */
  readonly datasetsMax: number
  /** Of one statement. */
  readonly rowsMax: number
}

export const SLICE_LIMITS: SliceLimits = {
  // 2,000 steps over 33 days of partitions take about 100 ms.
  cellsMax: 2_000,
  // About 2 MB of rows; reading and planning them takes 50 ms of the thread that also answers.
  datasetsMax: 5_000,
  // 40 us a row: 2 s of the 5 that a statement may take. 1,500 services with 33 blocks each in one closed day.
  rowsMax: 50_000,
}
/** A statement's worth of parameters; small installations have all their ranges in one. */
const RANGES_MAX = 256

export interface PlanningSlice {
  readonly waiting: readonly WaitingDataset[]
  /** By the database. */
  readonly nowMs: number
  /** Where the next slice begins; undefined = this was the last, the round is over. */
  readonly next: CellCursor | undefined
}

export interface SliceRequest {
  readonly after: CellCursor | undefined
  readonly policy: WindowCompactionPolicy
  readonly tenants: CompactedTenants
  readonly limits: SliceLimits
  /** So many of the first ranges have failed too often: what is behind them. Default: none. */
  readonly leftOut?: number
}

export async function loadPlanningSlice(sql: Sql, request: SliceRequest): Promise<PlanningSlice> {
  const { after, policy, tenants, limits, leftOut = 0 } = request
  const { cells, nowMs } = await selectWaitingCells(sql, after ?? FIRST_CELL, limits.cellsMax)
  const isCut = cells.length === limits.cellsMax
  const whole = wholeDays(cells, isCut)
  // One tenant and day with more window starts than a slice has cells: then a part of it must do.
  const chosen = whole.length > 0 ? whole : cells
  const ranges = planRanges(chosen, policy, nowMs).slice(leftOut)
  const { waiting, loaded } = await loadRanges(sql, ranges, { tenants, limits })
  const left = ranges[loaded]
  if (left !== undefined) return { waiting, nowMs, next: { tenant: left.tenant, windowStartMs: left.fromMs - 1 } }
  return { waiting, nowMs, next: isCut ? cursorOf(chosen.at(-1)!) : undefined }
}

function cursorOf({ tenant, windowStartMs }: PlanningCell): CellCursor {
  return { tenant, windowStartMs }
}

/** Nobody knows how much a range holds: the first is loaded alone, and then as many as should be a quarter of the rest. */
async function loadRanges(
  sql: Sql,
  ranges: readonly PlanningRange[],
  options: { readonly tenants: CompactedTenants; readonly limits: SliceLimits },
): Promise<{ waiting: WaitingDataset[]; loaded: number }> {
  const { tenants, limits } = options
  const waiting: WaitingDataset[] = []
  let loaded = 0
  let width = 1
  while (loaded < ranges.length && waiting.length < limits.datasetsMax) {
    const part = ranges.slice(loaded, loaded + width)
    let answer
    try {
      answer = await selectWaitingDatasets(sql, part, { limit: limits.rowsMax, tenants })
    } catch (error) {
      if (loaded === 0) throw error
      break
    }
    if (answer.isCut && part.length > 1) {
      width = 1
      continue
    }
    for (const dataset of answer.waiting) waiting.push(dataset)
    loaded += part.length
    const perRange = Math.max(1, answer.waiting.length / part.length)
    width = Math.max(1, Math.min(RANGES_MAX, Math.floor((limits.datasetsMax - waiting.length) / 4 / perRange)))
  }
  return { waiting, loaded }
}
