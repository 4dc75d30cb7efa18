/**
 * Which windows of data are worth loading for planning. Pure.
 *
 * A large installation has millions of live datasets, and nearly all of them rest: hours that wait for their 6 h, 6 h that
 * wait for their day. Loading the oldest of all first would fill every pass with those, and the current hour would never
 * be planned. So planning goes round in cells: one for each tenant and window start that holds anything below the last
 * level. Of a slice of cells, in order:
 *
 * 1. A day past its end and the grace is loaded whole: every stage may work in it.
 * 2. Else a window of 6 h past its end and the grace, whole, unless all its cells are of the 6 h level or above.
 * 3. Else each hour that holds a dataset below the hour level.
 * A range is always all that the stages which may act in it look at: planning from a part of a window would merge late
 * data without the block that it is late for.
 */
import { floorTo } from '../units.ts'
import { CLOSED_LEVEL, LAST_LEVEL, WINDOW_STAGES, type WindowCompactionPolicy } from './policy.ts'

/** Live datasets below the last level with one tenant and window start. */
export interface PlanningCell {
  readonly tenant: string
  readonly windowStartMs: number
  /** The lowest level among them. */
  readonly levelMin: number
}

/** Windows that start in [fromMs, toMs). */
export interface PlanningRange {
  readonly tenant: string
  readonly fromMs: number
  readonly toMs: number
}

/** Ascending, without overlaps. `cells` are ascending by tenant and window start, and each day of a tenant is whole. */
export function planRanges(
  cells: readonly PlanningCell[],
  policy: Pick<WindowCompactionPolicy, 'graceMs'>,
  nowMs: number,
): PlanningRange[] {
  const ranges: PlanningRange[] = []
  for (const { tenant, windowStartMs, levelMin } of cells) {
    const last = ranges.at(-1)
    if (last !== undefined && last.tenant === tenant && windowStartMs < last.toMs) continue
    const stage = WINDOW_STAGES.findLast(
      ({ windowMs }) => nowMs - (floorTo(windowStartMs, windowMs) + windowMs) >= policy.graceMs,
    )
    const windowMs = stage === undefined ? WINDOW_STAGES[0]!.windowMs : stage.windowMs
    // Of the stage whose window has closed last only what lies below it is work; the hour itself may have tiers.
    const isWork = levelMin < (stage === undefined ? CLOSED_LEVEL : stage.level)
    if (!isWork) continue
    const fromMs = floorTo(windowStartMs, windowMs)
    ranges.push({ tenant, fromMs, toMs: fromMs + windowMs })
  }
  return ranges
}

/** The cells of whole days of tenants: the last day may be cut by the limit. Empty if the first day alone fills it. */
export function wholeDays(cells: readonly PlanningCell[], isCut: boolean): readonly PlanningCell[] {
  if (!isCut) return cells
  const last = cells.at(-1)
  if (last === undefined) return cells
  const dayMs = WINDOW_STAGES.find(({ level }) => level === LAST_LEVEL)!.windowMs
  const dayOf = (cell: PlanningCell) => floorTo(cell.windowStartMs, dayMs)
  return cells.filter((cell) => cell.tenant !== last.tenant || dayOf(cell) !== dayOf(last))
}
