/**
 * The aggregation window: profiles of one series that were taken within it become one, when they are merged.
 *
 * 1. `planJoins`: windows are counted from the epoch. The headers of a group and series in one window are a run; the first of
 *    it, by time and id, is the one that the rows of all go to. Its totals and duration become those of the run.
 * 2. The others keep their ids and times, have no rows and totals of 0: queries pass over them, and a retry that is committed
 *    late still finds the id that it repeats. Nothing is counted twice and nothing is lost: sums over stacks and values
 *    are those of the sources, and the merge checks it (`Wrap`: what is added where one wraps).
 * 3. `joinRows`: rows of equal stack, span and trace are added (int64, wrapping as all sums do).
 *
 * A merge of merges equals the merge of everything: rows move within a window only, to its first header. Not before the
 * first merge, because only its commit knows which profiles were retries: rows that were added cannot be taken apart.
 * Must not: join over the end of a window, or write rows out of order.
 */
import { MIX_PRIME, type PreparedHashes } from '../block/conservation.ts'
import type { ConservationSum, GroupRows, ProfileHeaders, SampleGroup } from '../block/dataset.ts'
import { floorMs } from '../block/header-section.ts'
import type { AggregationWindow, SourceObject } from '../rpc/metastore.ts'
import { floorTo } from '../units.ts'
import { addInt64At, type Int64Column } from '../wire/int64.ts'
import { gatherRows, type RowGatherer, type RowScratch } from './merge-rows.ts'

/**
 * Rows that are gathered for one header, 60 MiB with four types and contexts: a longer run is cut. Rows are sorted by
 * stack * 2^20 + row, which is exact below 2^53 for any stack.
 */
export const JOIN_ROWS_MAX = 1 << 20

/** Of each header of the merge: the end of the run whose rows it gets; its own position if it gets none. */
export type Joins = Uint32Array

/**
 * Undefined if every profile stays alone. Else lengths, totals and durations of `headers` are changed to those after the
 * join, lengths to the sums of the runs, which is the most that they can be.
 */
export function planJoins(
  headers: ProfileHeaders,
  { windowMs, rowsMax = JOIN_ROWS_MAX }: { readonly windowMs: number; readonly rowsMax?: number },
): Joins | undefined {
  const { count, group, series, rowLength, timeNanos } = headers
  const ends = new Uint32Array(count)
  let isAnyJoined = false
  const windowOf = (h: number): number => floorTo(floorMs(timeNanos.hi[h]! | 0, timeNanos.lo[h]!), windowMs)
  for (let first = 0; first < count; ) {
    const window = windowOf(first)
    let rows = rowLength[first]!
    let end = first + 1
    for (; end < count && group[end] === group[first] && series[end] === series[first]; end++) {
      if (windowOf(end) !== window || rows + rowLength[end]! > rowsMax) break
      rows += rowLength[end]!
    }
    ends[first] = end
    for (let h = first + 1; h < end; h++) {
      ends[h] = h
      if (rowLength[h] === 0) continue
      isAnyJoined = true
      moveTo(headers, first, h)
    }
    first = end
  }
  if (!isAnyJoined) return undefined
  setRowStarts(headers)
  return ends
}

function moveTo({ rowLength, totals, durationNanos }: ProfileHeaders, first: number, from: number): void {
  rowLength[first]! += rowLength[from]!
  rowLength[from] = 0
  for (const column of [...totals, durationNanos]) {
    addInt64At(column, first, column.lo[from]!, column.hi[from]!)
    column.lo[from] = 0
    column.hi[from] = 0
  }
}

function setRowStarts({ count, group, rowStart, rowLength }: ProfileHeaders): void {
  const next = new Map<number, number>()
  for (let h = 0; h < count; h++) {
    const start = next.get(group[h]!) ?? 0
    rowStart[h] = start
    next.set(group[h]!, start + rowLength[h]!)
  }
}

/**
 * A sum of one stack passed 2^64, as every negative value does that a positive one makes up for. Sums wrap, but the mix
 * modulo a prime (conservation.ts) takes values as they are, so the mix of the rows is less by 2^64 times the stack's hash.
 */
interface Wrap {
  readonly type: number
  readonly stackId: number
}

/** 2^64 modulo the prime: 2^26 is 5, so 2^52 is 25, and 2^12 times that. */
const TWO64_MOD_PRIME = 25 * 4096

export interface JoinTools {
  readonly gatherer: RowGatherer
  readonly joins: Joins
  readonly joiner: RowJoiner
  readonly hashes: PreparedHashes
  /** For the rows of one run. */
  readonly scratch: RowScratch
}

interface JoinedFrame {
  readonly rowCount: number
  /** What the sums of these rows lack to be those of the rows that were added up. */
  readonly lacking: readonly ConservationSum[]
}

/**
 * Rows of the headers [first, end), all of one group, from row 0 of `out`, added up by run. Lengths of `headers` become
 * those that there are. Runs may end past `end`: what follows has no rows.
 */
export function gatherJoined(
  { gatherer, joins, joiner, scratch, hashes }: JoinTools,
  frame: { readonly first: number; readonly end: number; readonly group: SampleGroup; readonly hasContext: boolean },
  headers: Pick<ProfileHeaders, 'rowLength' | 'group' | 'series'>,
  out: GroupRows,
): JoinedFrame {
  const { rowLength: lengths } = headers
  const lacking: ConservationSum[] = []
  let at = 0
  for (let h = frame.first; h < frame.end; h++) {
    if (lengths[h] === 0) continue
    const run = scratch.take(frame.group, lengths[h]!, frame.hasContext)
    gatherRows(gatherer, { first: h, end: joins[h]! }, run)
    lengths[h] = joiner.joinRows(run, lengths[h]!, out, at)
    at += lengths[h]!
    const mixes = frame.group.types.map(() => 0)
    for (const { type, stackId } of joiner.wraps.splice(0))
      mixes[type] = (mixes[type]! + TWO64_MOD_PRIME * hashes.h2Reduced[stackId]!) % MIX_PRIME
    mixes.forEach((mixPrime, type) => {
      if (mixPrime === 0) return
      lacking.push({ group: headers.group[h]!, series: headers.series[h]!, type, total: 0n, mix32: 0, mixPrime })
    })
  }
  return { rowCount: at, lacking }
}

/** Where the last run ends that begins before `end`. */
export function endOfRuns(joins: Joins, { first, end }: { readonly first: number; readonly end: number }): number {
  let last = end
  for (let h = first; h < end; h++) last = Math.max(last, joins[h]!)
  return last
}

/** Adds rows of one header up. Scratch, reused. */
export class RowJoiner {
  #keys = new Float64Array(0)
  /** Rows of the source in their new order, and where in the output each of them goes. */
  #order = new Uint32Array(0)
  #target = new Uint32Array(0)
  /** Rows of the output whose sum passed 2^64, once for each time. */
  #wrapped: number[] = []
  /** Of all calls since somebody took them. */
  readonly wraps: Wrap[] = []

  /** Rows [0, rowCount) of `from` in any order become rows from `at` of `out`, ascending; returns how many. */
  joinRows(from: GroupRows, rowCount: number, out: GroupRows, at: number): number {
    this.#sort(from, rowCount)
    const order = this.#order
    const target = this.#target
    let next = at - 1
    for (let k = 0; k < rowCount; k++) {
      if (k === 0 || isOther(from, order[k - 1]!, order[k]!)) out.stackId[++next] = from.stackId[order[k]!]!
      target[k] = next
    }
    const end = next + 1
    from.values.forEach((column, t) => {
      this.#addColumn(column, rowCount, out.values[t]!, { at, end })
      for (const row of this.#wrapped.splice(0)) this.wraps.push({ type: t, stackId: out.stackId[row]! })
    })
    for (const name of ['spanId', 'traceIdHigh', 'traceIdLow'] as const)
      if (from[name] !== undefined) this.#putColumn(from[name], rowCount, out[name]!)
    return end - at
  }

  #sort(rows: GroupRows, rowCount: number): void {
    if (this.#keys.length < rowCount) {
      this.#keys = new Float64Array(rowCount * 2)
      this.#order = new Uint32Array(rowCount * 2)
      this.#target = new Uint32Array(rowCount * 2)
    }
    const keys = this.#keys.subarray(0, rowCount)
    const order = this.#order.subarray(0, rowCount)
    const { stackId } = rows
    // One profile alone, where a tenant has no limit of samples: it is no run, and comes through here all the same.
    const isLarge = rowCount > JOIN_ROWS_MAX
    if (!isLarge) {
      for (let k = 0; k < rowCount; k++) keys[k] = stackId[k]! * JOIN_ROWS_MAX + k
      keys.sort()
    }
    for (let k = 0; k < rowCount; k++) order[k] = isLarge ? k : keys[k]! % JOIN_ROWS_MAX
    if (isLarge || rows.spanId !== undefined)
      order.sort((a, b) => stackId[a]! - stackId[b]! || compareContexts(rows, a, b) || a - b)
  }

  #addColumn(
    from: Int64Column,
    rowCount: number,
    out: Int64Column,
    rows: { readonly at: number; readonly end: number },
  ): void {
    out.lo.fill(0, rows.at, rows.end)
    out.hi.fill(0, rows.at, rows.end)
    const order = this.#order
    const target = this.#target
    for (let k = 0; k < rowCount; k++) {
      const row = target[k]!
      const lo = out.lo[row]! + from.lo[order[k]!]!
      const hi = out.hi[row]! + from.hi[order[k]!]! + (lo > 0xffffffff ? 1 : 0)
      out.lo[row] = lo
      out.hi[row] = hi
      if (hi > 0xffffffff) this.#wrapped.push(row)
    }
  }

  #putColumn(from: Int64Column, rowCount: number, out: Int64Column): void {
    const order = this.#order
    const target = this.#target
    for (let k = 0; k < rowCount; k++) {
      out.lo[target[k]!] = from.lo[order[k]!]!
      out.hi[target[k]!] = from.hi[order[k]!]!
    }
  }
}

function isOther(rows: GroupRows, a: number, b: number): boolean {
  return rows.stackId[a] !== rows.stackId[b] || compareContexts(rows, a, b) !== 0
}

function compareContexts({ spanId, traceIdHigh, traceIdLow }: GroupRows, a: number, b: number): number {
  if (spanId === undefined) return 0
  return compareUnsigned(spanId, a, b) || compareUnsigned(traceIdHigh!, a, b) || compareUnsigned(traceIdLow!, a, b)
}

function compareUnsigned({ lo, hi }: Int64Column, a: number, b: number): number {
  return hi[a]! - hi[b]! || lo[a]! - lo[b]!
}

/** Windows of the tenants of a job, for the worker that gets it; undefined if none has any. */
export function aggregationOf(
  sources: readonly SourceObject[],
  windowsMs: Readonly<Record<string, number>>,
): AggregationWindow[] | undefined {
  if (Object.keys(windowsMs).length === 0) return undefined
  const tenants = new Set(sources.flatMap(({ datasets }) => datasets.map(({ descriptor }) => descriptor.tenant)))
  const windows = [...tenants]
    .sort()
    .map((tenant) => ({
      tenant,
      windowMs: Object.hasOwn(windowsMs, tenant) ? windowsMs[tenant]! : (windowsMs['*'] ?? 0),
    }))
    .filter(({ windowMs }) => windowMs > 0)
  return windows.length === 0 ? undefined : windows
}
