/**
 * Rollups: per data hour the total of every stack, so that a flame graph over whole hours costs distinct stacks and not
 * samples. Written from level 1 on, from the rows of the finished dataset; never merged from other rollups.
 *
 * 1. `hourRuns` cuts the headers, which are sorted by (group, series, time), into runs of one group, series and hour.
 * 2. `buildRollups` sums the rows of each run by stack: one rollup for a run of `PROFILES_MIN` headers, and one over all
 *    runs of a (group, hour). Where an hour has a single run, the one over all series stands for both.
 * 3. A rollup with more than half as many rows as the samples it stands for is left out: reading it would save little.
 * 4. `findRollupFault` compares the sums of each rollup with the totals of its headers.
 *
 * Rows have the shape of sample rows (stack ids ascending, a value per type, modulo 2^64), so that the column codec of
 * frames serves both; a stack whose values are all zero has no row. The empty stack keeps its own.
 */
import { hourOfNanos } from '../units.ts'
import { addInt64At, allocateInt64Column, type Int64Column, sumInt64 } from '../wire/int64.ts'
import { GrowingInt64, GrowingUint32 } from '../wire/growing.ts'
import type { Dataset, GroupRows, ProfileHeaders, SampleGroup } from './dataset.ts'

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

type RunHeaders = Pick<ProfileHeaders, 'count' | 'group' | 'series' | 'timeNanos'>

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

export type RollupDataset = Pick<Dataset, 'groups' | 'rows' | 'headers'> & {
  readonly symbols: Pick<Dataset['symbols'], 'stackCount'>
}

export function buildRollups(dataset: RollupDataset): Rollups {
  const builder = new RollupBuilder(dataset)
  for (const runs of groupByHour(hourRuns(dataset.headers))) builder.addHour(runs)
  return builder.build()
}

interface Entry {
  readonly group: number
  readonly hour: number
  readonly scope: number
  readonly profiles: number
  readonly rowStart: number
  readonly rowLength: number
}

class RollupBuilder {
  readonly #dataset: RollupDataset
  readonly #entries: Entry[] = []
  readonly #stackIds: GrowingUint32[]
  readonly #values: GrowingInt64[][]
  readonly #sums: StackTotals

  constructor(dataset: RollupDataset) {
    this.#dataset = dataset
    this.#stackIds = dataset.groups.map(() => new GrowingUint32())
    this.#values = dataset.groups.map(({ types }) => types.map(() => new GrowingInt64()))
    const typesMax = dataset.groups.reduce((max, { types }) => Math.max(max, types.length), 0)
    this.#sums = new StackTotals(dataset.symbols.stackCount, typesMax)
  }

  /** Runs of one group and hour. The rollup over all of them comes first, as the index is sorted. */
  addHour(runs: readonly HourRun[]): void {
    this.#add(runs, ALL_SERIES)
    if (runs.length > 1) for (const run of runs) this.#add([run], run.series + 1)
  }

  #add(runs: readonly HourRun[], scope: number): void {
    const { headers, groups, rows } = this.#dataset
    const { group, hour } = runs[0]!
    const profiles = runs.reduce((count, run) => count + run.end - run.first, 0)
    if (profiles < ROLLUP_PROFILES_MIN) return
    let sampleRows = 0
    for (const { first, end } of runs) {
      const start = headers.rowStart[first]!
      const stop = headers.rowStart[end - 1]! + headers.rowLength[end - 1]!
      this.#sums.add(rows[group]!, start, stop)
      sampleRows += stop - start
    }
    const typeCount = groups[group]!.types.length
    const stacks = this.#sums.takeStacks(typeCount)
    if (stacks.length * 2 <= sampleRows) {
      const rowStart = this.#stackIds[group]!.count
      this.#entries.push({ group, hour, scope, profiles, rowStart, rowLength: stacks.length })
      this.#append(group, stacks)
    }
    this.#sums.clear(stacks)
  }

  #append(group: number, stacks: Uint32Array): void {
    const ids = this.#stackIds[group]!
    ids.reserve(stacks.length)
    ids.array.set(stacks, ids.count)
    ids.count += stacks.length
    this.#values[group]!.forEach((column, type) => {
      const { lo, hi } = this.#sums.columns[type]!
      for (const stack of stacks) column.push(lo[stack]!, hi[stack]!)
    })
  }

  build(): Rollups {
    const entries = this.#entries
    return {
      count: entries.length,
      group: Uint32Array.from(entries, ({ group }) => group),
      hour: Int32Array.from(entries, ({ hour }) => hour),
      scope: Uint32Array.from(entries, ({ scope }) => scope),
      profiles: Uint32Array.from(entries, ({ profiles }) => profiles),
      rowStart: Uint32Array.from(entries, ({ rowStart }) => rowStart),
      rowLength: Uint32Array.from(entries, ({ rowLength }) => rowLength),
      rows: this.#stackIds.map((ids, g) => rowsOf(ids, this.#values[g]!)),
    }
  }
}

function rowsOf(ids: GrowingUint32, values: readonly GrowingInt64[]): GroupRows {
  const columns = values.map((column) => column.copy())
  const none = { spanId: undefined, traceIdHigh: undefined, traceIdLow: undefined }
  return { rowCount: ids.count, stackId: ids.copy(), values: columns, ...none }
}

/** Scratch: totals by stack and type, and which stacks have been met. */
class StackTotals {
  readonly columns: readonly Int64Column[]
  readonly #seen: Uint8Array
  #met = new GrowingUint32(1024)

  constructor(stackCount: number, typesMax: number) {
    this.columns = Array.from({ length: typesMax }, () => allocateInt64Column(stackCount))
    this.#seen = new Uint8Array(stackCount)
  }

  add(rows: GroupRows, start: number, end: number): void {
    const { stackId } = rows
    const met = this.#met
    met.reserve(end - start)
    for (let row = start; row < end; row++) {
      const stack = stackId[row]!
      if (this.#seen[stack] === 1) continue
      this.#seen[stack] = 1
      met.array[met.count++] = stack
    }
    rows.values.forEach((column, type) => {
      const totals = this.columns[type]!
      for (let row = start; row < end; row++) addInt64At(totals, stackId[row]!, column.lo[row]!, column.hi[row]!)
    })
  }

  /** Stacks that have a value, ascending. The others are forgotten here. */
  takeStacks(typeCount: number): Uint32Array {
    const met = this.#met.array.subarray(0, this.#met.count).sort()
    this.#met.count = 0
    const stacks = new Uint32Array(met.length)
    let count = 0
    for (const stack of met) {
      this.#seen[stack] = 0
      let bits = 0
      for (let type = 0; type < typeCount; type++)
        bits |= this.columns[type]!.lo[stack]! | this.columns[type]!.hi[stack]!
      if (bits !== 0) stacks[count++] = stack
    }
    return stacks.subarray(0, count)
  }

  clear(stacks: Uint32Array): void {
    for (const { lo, hi } of this.columns)
      for (const stack of stacks) {
        lo[stack] = 0
        hi[stack] = 0
      }
  }
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
