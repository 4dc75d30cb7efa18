/**
 * Builds rollups from rows that come in the order of their headers, frame by frame or all at once.
 *
 * 1. The runs (one group, series and hour) and cells (all runs of a group and hour) follow from the headers alone, and
 *    with them which rollups there may be: one for a run of `ROLLUP_PROFILES_MIN` headers, and one over all runs of a
 *    cell. Where a cell has a single run, the one over all series stands for both.
 * 2. Rows are summed by stack into the totals of their run; when the run ends, these go to the totals of its cell.
 * 3. A rollup with more than half as many rows as the samples it stands for is left out: reading it would save little.
 * 4. `finish` sorts them by (group, hour, scope).
 * 5. Where the total of the whole dataset is wanted (function-totals.ts), runs go to that of their group, too.
 *
 * Memory follows distinct stacks (an hour open: its totals), never samples.
 */
import { addInt64At, allocateInt64Column, type Int64Column } from '../wire/int64.ts'
import { GrowingInt64, GrowingUint32 } from '../wire/growing.ts'
import type { Dataset, GroupRows, ProfileHeaders, SampleGroup } from './dataset.ts'
import type { StackTotalsOfGroup } from './function-totals.ts'
import { ALL_SERIES, groupByHour, type HourRun, hourRuns, ROLLUP_PROFILES_MIN, type Rollups } from './rollup.ts'

export type RollupDataset = Pick<Dataset, 'groups' | 'rows' | 'headers'> & {
  readonly symbols: Pick<Dataset['symbols'], 'stackCount'>
}

export function buildRollups({ groups, headers, rows, symbols }: RollupDataset): Rollups {
  const builder = new RollupBuilder({ groups, headers, stackCount: symbols.stackCount })
  for (let h = 0; h < headers.count; h++)
    builder.addHeaders({ first: h, end: h + 1 }, rows[headers.group[h]!]!, headers.rowStart[h]!)
  return builder.finish()
}

/** All runs of one group and hour. */
interface Cell {
  readonly group: number
  readonly hour: number
  readonly runs: number
  readonly profiles: number
  /** Runs that have not ended. */
  open: number
  sampleRows: number
  totals: CellTotals | undefined
}

interface Entry {
  readonly group: number
  readonly hour: number
  readonly scope: number
  readonly profiles: number
  readonly stacks: Uint32Array
  readonly values: readonly Int64Column[]
}

export interface RollupSubject {
  readonly groups: readonly SampleGroup[]
  readonly headers: Pick<ProfileHeaders, 'count' | 'group' | 'series' | 'timeNanos' | 'rowLength'>
  readonly stackCount: number
  /** `takeTotals` is asked for. */
  readonly keepsTotals?: boolean
}

export class RollupBuilder {
  readonly #subject: RollupSubject
  readonly #runs: readonly HourRun[]
  readonly #cells = new Map<HourRun, Cell>()
  readonly #totals: StackTotals
  readonly #entries: Entry[] = []
  /** By group, if they are wanted. */
  readonly #whole: (StackTotalsOfGroup | undefined)[] | undefined
  /** Of the group whose runs come. */
  #open: CellTotals | undefined
  #openGroup = -1
  /** The run of the next header. */
  #run = 0
  #sampleRows = 0

  constructor(subject: RollupSubject) {
    this.#subject = subject
    this.#runs = hourRuns(subject.headers)
    for (const runs of groupByHour(this.#runs)) {
      const { group, hour } = runs[0]!
      const profiles = runs.reduce((count, run) => count + run.end - run.first, 0)
      const open = { open: runs.length, sampleRows: 0, totals: undefined }
      const cell: Cell = { group, hour, runs: runs.length, profiles, ...open }
      for (const run of runs) this.#cells.set(run, cell)
    }
    const typesMax = subject.groups.reduce((max, { types }) => Math.max(max, types.length), 0)
    this.#totals = new StackTotals(subject.stackCount, typesMax)
    this.#whole = subject.keepsTotals === true ? subject.groups.map(() => undefined) : undefined
  }

  /** The next headers, of one group; their rows begin at `start` and lie one after the other. */
  addHeaders({ first, end }: { readonly first: number; readonly end: number }, rows: GroupRows, start: number): void {
    const { rowLength } = this.#subject.headers
    let at = start
    for (let h = first; h < end; ) {
      const run = this.#runs[this.#run]!
      const stop = Math.min(end, run.end)
      const from = at
      for (; h < stop; h++) at += rowLength[h]!
      if (this.#isSummed(this.#cells.get(run)!)) this.#totals.add(rows, from, at)
      this.#sampleRows += at - from
      if (h === run.end) this.#endRun(run)
    }
  }

  #endRun(run: HourRun): void {
    const cell = this.#cells.get(run)!
    const sampleRows = this.#sampleRows
    this.#run++
    this.#sampleRows = 0
    cell.open--
    cell.sampleRows += sampleRows
    if (!this.#isSummed(cell)) return
    const typeCount = this.#subject.groups[run.group]!.types.length
    const stacks = this.#totals.takeStacks(typeCount)
    if (this.#whole !== undefined) {
      if (run.group !== this.#openGroup) this.#closeGroup(run.group)
      this.#open ??= new CellTotals(this.#subject.stackCount, typeCount)
      this.#open.add(stacks, this.#totals.columns)
    }
    if (cell.profiles < ROLLUP_PROFILES_MIN) {
      this.#totals.clear(stacks)
      return
    }
    const isAlone = cell.runs === 1
    const profiles = run.end - run.first
    if (profiles >= ROLLUP_PROFILES_MIN && stacks.length * 2 <= sampleRows) {
      const scope = isAlone ? ALL_SERIES : run.series + 1
      const values = this.#totals.pick(stacks, typeCount)
      this.#entries.push({ group: run.group, hour: run.hour, scope, profiles, stacks, values })
    }
    if (!isAlone) this.#addToCell(cell, stacks)
    this.#totals.clear(stacks)
  }

  #isSummed({ profiles }: Cell): boolean {
    return profiles >= ROLLUP_PROFILES_MIN || this.#whole !== undefined
  }

  /** By group, over all of its headers; once, at the end. */
  takeTotals(): readonly (StackTotalsOfGroup | undefined)[] {
    this.#closeGroup(-1)
    return this.#whole ?? []
  }

  /** Runs come group by group: of the others only stacks that they have are held, not a row for every stack. */
  #closeGroup(next: number): void {
    if (this.#whole !== undefined && this.#open !== undefined) this.#whole[this.#openGroup] = this.#open.take()
    this.#open = undefined
    this.#openGroup = next
  }

  #addToCell(cell: Cell, stacks: Uint32Array): void {
    const { group, hour, profiles } = cell
    cell.totals ??= new CellTotals(this.#subject.stackCount, this.#subject.groups[group]!.types.length)
    cell.totals.add(stacks, this.#totals.columns)
    if (cell.open > 0) return
    const all = cell.totals.take()
    cell.totals = undefined
    if (all.stacks.length * 2 <= cell.sampleRows)
      this.#entries.push({ group, hour, scope: ALL_SERIES, profiles, ...all })
  }

  finish(): Rollups {
    const entries = this.#entries.sort((a, b) => a.group - b.group || a.hour - b.hour || a.scope - b.scope)
    const next = this.#subject.groups.map(() => 0)
    const rowStart = entries.map(({ group, stacks }) => {
      next[group]! += stacks.length
      return next[group]! - stacks.length
    })
    return {
      count: entries.length,
      group: Uint32Array.from(entries, ({ group }) => group),
      hour: Int32Array.from(entries, ({ hour }) => hour),
      scope: Uint32Array.from(entries, ({ scope }) => scope),
      profiles: Uint32Array.from(entries, ({ profiles }) => profiles),
      rowStart: Uint32Array.from(rowStart),
      rowLength: Uint32Array.from(entries, ({ stacks }) => stacks.length),
      rows: this.#subject.groups.map(({ types }, group) => {
        const ofGroup = entries.filter((entry) => entry.group === group)
        return joinRows(ofGroup, types.length, next[group]!)
      }),
    }
  }
}

function joinRows(entries: readonly Entry[], typeCount: number, rowCount: number): GroupRows {
  const stackId = new Uint32Array(rowCount)
  const values = Array.from({ length: typeCount }, () => allocateInt64Column(rowCount))
  let at = 0
  for (const entry of entries) {
    stackId.set(entry.stacks, at)
    values.forEach(({ lo, hi }, type) => {
      lo.set(entry.values[type]!.lo, at)
      hi.set(entry.values[type]!.hi, at)
    })
    at += entry.stacks.length
  }
  return { rowCount, stackId, values, spanId: undefined, traceIdHigh: undefined, traceIdLow: undefined }
}

function pickLanes({ lo, hi }: Int64Column, rows: Uint32Array): Int64Column {
  const out = allocateInt64Column(rows.length)
  for (let i = 0; i < rows.length; i++) {
    out.lo[i] = lo[rows[i]!]!
    out.hi[i] = hi[rows[i]!]!
  }
  return out
}

/** Scratch of the run that is open: totals by stack and type, and which stacks have been met. */
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
    for (let i = 0; i < met.length; i++) {
      const stack = met[i]!
      this.#seen[stack] = 0
      let bits = 0
      for (let type = 0; type < typeCount; type++)
        bits |= this.columns[type]!.lo[stack]! | this.columns[type]!.hi[stack]!
      if (bits !== 0) stacks[count++] = stack
    }
    return stacks.subarray(0, count)
  }

  pick(stacks: Uint32Array, typeCount: number): Int64Column[] {
    return this.columns.slice(0, typeCount).map((column) => pickLanes(column, stacks))
  }

  clear(stacks: Uint32Array): void {
    for (const { lo, hi } of this.columns)
      for (let i = 0; i < stacks.length; i++) {
        lo[stacks[i]!] = 0
        hi[stacks[i]!] = 0
      }
  }
}

/** Totals of a cell by stack, as many as there are distinct stacks in it: a day has 24 cells open at once. */
class CellTotals {
  /** Row + 1 of a stack. */
  readonly #rowOf: Uint32Array
  readonly #stacks = new GrowingUint32(1024)
  readonly #values: readonly GrowingInt64[]

  constructor(stackCount: number, typeCount: number) {
    this.#rowOf = new Uint32Array(stackCount)
    this.#values = Array.from({ length: typeCount }, () => new GrowingInt64(1024))
  }

  add(stacks: Uint32Array, columns: readonly Int64Column[]): void {
    const rowOf = this.#rowOf
    for (let i = 0; i < stacks.length; i++) {
      const stack = stacks[i]!
      if (rowOf[stack] !== 0) continue
      this.#stacks.push(stack)
      rowOf[stack] = this.#stacks.count
      for (const column of this.#values) column.push(0, 0)
    }
    this.#values.forEach((column, type) => {
      const { lo, hi } = columns[type]!
      const totals = { lo: column.lo.array, hi: column.hi.array }
      for (let i = 0; i < stacks.length; i++)
        addInt64At(totals, rowOf[stacks[i]!]! - 1, lo[stacks[i]!]!, hi[stacks[i]!]!)
    })
  }

  /** Stacks whose totals are not 0 by now (sums are modulo 2^64), ascending. */
  take(): { stacks: Uint32Array; values: Int64Column[] } {
    const stacks = this.#stacks.copy().sort()
    const rows = new Uint32Array(stacks.length)
    let count = 0
    for (let i = 0; i < stacks.length; i++) {
      const row = this.#rowOf[stacks[i]!]! - 1
      let bits = 0
      for (const { lo, hi } of this.#values) bits |= lo.array[row]! | hi.array[row]!
      if (bits === 0) continue
      stacks[count] = stacks[i]!
      rows[count++] = row
    }
    const kept = rows.subarray(0, count)
    const values = this.#values.map(({ lo, hi }) => pickLanes({ lo: lo.array, hi: hi.array }, kept))
    return { stacks: stacks.slice(0, count), values }
  }
}
