/**
 * Rollups: per data hour the total of every stack, so that a flame graph over whole hours costs distinct stacks and not
 * samples. Written from level 1 on, from the rows of the finished dataset; never merged from other rollups.
 *
 * 1. `hourRuns` cuts the headers, which are sorted by (group, series, time), into runs of one group, series and hour.
 * 2. `RollupBuilder` (rollup-build.ts) sums the rows of each run by stack.
 * 3. `findRollupFault` compares the sums of each rollup with the totals of its headers.
 *
 * Rows have the shape of sample rows (stack ids ascending, a value per type, modulo 2^64), so that the column codec of
 * frames serves both; a stack whose values are all zero has no row. The empty stack keeps its own.
 */
import { hourOfNanos } from '../units.ts'
import { type Int64Column, sumInt64 } from '../wire/int64.ts'
import type { GroupRows, ProfileHeaders, SampleGroup } from './dataset.ts'

/** Below 4 profiles an hour the samples are read in less than the rollup and its index entry would cost. */
export const ROLLUP_PROFILES_MIN = 4

/** `scope` of a rollup over all series of its group and hour. */
export const ALL_SERIES = 0

/** Sorted by (group, hour, scope), unique. Rows of rollup r in its group: [rowStart[r], rowStart[r] + rowLength[r]). */
export interface RollupIndex {
  readonly count: number
  readonly group: Uint32Array
  /** Hours since 1970, floored. */
  readonly hour: Int32Array
  /** `ALL_SERIES`, or the series + 1. */
  readonly scope: Uint32Array
  /** Headers that it stands for. */
  readonly profiles: Uint32Array
  readonly rowStart: Uint32Array
  readonly rowLength: Uint32Array
}

export interface Rollups extends RollupIndex {
  /** By group. */
  readonly rows: readonly GroupRows[]
}

/** Headers [first, end) of one group, series and hour. */
export interface HourRun {
  readonly group: number
  readonly series: number
  readonly hour: number
  readonly first: number
  readonly end: number
}

export type RunHeaders = Pick<ProfileHeaders, 'count' | 'group' | 'series' | 'timeNanos'>

/** In the order of the headers: by (group, series, hour). */
export function hourRuns(headers: RunHeaders): HourRun[] {
  const runs: HourRun[] = []
  const { group, series, timeNanos } = headers
  for (let first = 0; first < headers.count; ) {
    const hour = hourOfNanos(timeNanos.hi[first]! | 0, timeNanos.lo[first]!)
    let end = first + 1
    while (
      end < headers.count &&
      group[end] === group[first] &&
      series[end] === series[first] &&
      hourOfNanos(timeNanos.hi[end]! | 0, timeNanos.lo[end]!) === hour
    )
      end++
    runs.push({ group: group[first]!, series: series[first]!, hour, first, end })
    first = end
  }
  return runs
}

/** Runs of one (group, hour), by (group, hour, series). */
export function groupByHour(runs: readonly HourRun[]): HourRun[][] {
  const sorted = [...runs].sort((a, b) => a.group - b.group || a.hour - b.hour || a.series - b.series)
  const groups: HourRun[][] = []
  for (const run of sorted) {
    const last = groups.at(-1)
    if (last !== undefined && last[0]!.group === run.group && last[0]!.hour === run.hour) last.push(run)
    else groups.push([run])
  }
  return groups
}

/** Those that the predicate keeps, by index; their rows are copied. */
export function filterRollups(rollups: Rollups, keeps: (rollup: number) => boolean): Rollups {
  const kept = Array.from({ length: rollups.count }, (_, r) => r).filter(keeps)
  const pick = (column: Uint32Array): Uint32Array => Uint32Array.from(kept, (r) => column[r]!)
  const next = rollups.rows.map(() => 0)
  const rowStart = Uint32Array.from(kept, (r) => {
    const group = rollups.group[r]!
    next[group]! += rollups.rowLength[r]!
    return next[group]! - rollups.rowLength[r]!
  })
  return {
    count: kept.length,
    group: pick(rollups.group),
    hour: Int32Array.from(kept, (r) => rollups.hour[r]!),
    scope: pick(rollups.scope),
    profiles: pick(rollups.profiles),
    rowStart,
    rowLength: pick(rollups.rowLength),
    rows: rollups.rows.map((rows, group) => {
      const ranges = kept.flatMap((r) =>
        rollups.group[r] === group ? [[rollups.rowStart[r]!, rollups.rowStart[r]! + rollups.rowLength[r]!]] : [],
      )
      return copyRanges(rows, ranges as [number, number][], next[group]!)
    }),
  }
}

function copyRanges(rows: GroupRows, ranges: readonly (readonly [number, number])[], rowCount: number): GroupRows {
  const copy = (column: Uint32Array): Uint32Array => {
    const out = new Uint32Array(rowCount)
    let at = 0
    for (const [start, end] of ranges) {
      out.set(column.subarray(start, end), at)
      at += end - start
    }
    return out
  }
  const values = rows.values.map(({ lo, hi }) => ({ lo: copy(lo), hi: copy(hi) }))
  return { ...rows, rowCount, stackId: copy(rows.stackId), values }
}

export interface RollupValues {
  readonly index: RollupIndex
  /** Rows [start, end) of the values of a type; whole frames are decoded once. */
  readonly valuesOf: (group: number, type: number) => Int64Column
}

/**
 * The first rollup that is not the sum of its headers, in words: another count of profiles, another total, a scope
 * without headers, or one that is not in order.
 */
export function findRollupFault(
  dataset: { readonly headers: Omit<ProfileHeaders, 'profileId'>; readonly groups: readonly SampleGroup[] },
  rollups: RollupValues,
): string | undefined {
  const { index } = rollups
  const byKey = new Map<string, HourRun[]>()
  for (const runs of groupByHour(hourRuns(dataset.headers))) {
    const { group, hour } = runs[0]!
    byKey.set(`${group},${hour},${ALL_SERIES}`, runs)
    for (const run of runs) byKey.set(`${group},${hour},${run.series + 1}`, [run])
  }
  for (let r = 0; r < index.count; r++) {
    const group = index.group[r]!
    const runs = byKey.get(`${group},${index.hour[r]},${index.scope[r]}`)
    if (runs === undefined) return `rollup ${r} has no profiles`
    const profiles = runs.reduce((count, run) => count + run.end - run.first, 0)
    if (profiles !== index.profiles[r]) return `rollup ${r} stands for ${index.profiles[r]} of ${profiles} profiles`
    for (let type = 0; type < dataset.groups[group]!.types.length; type++) {
      const totals = dataset.headers.totals[type]!
      const expected = runs.reduce((sum, run) => sum + sumInt64(totals, run.first, run.end), 0n)
      const start = index.rowStart[r]!
      const actual = sumInt64(rollups.valuesOf(group, type), start, start + index.rowLength[r]!)
      if (BigInt.asIntN(64, expected) !== actual)
        return `rollup ${r} has ${actual} of type ${type}, its profiles ${BigInt.asIntN(64, expected)}`
    }
  }
  return undefined
}
