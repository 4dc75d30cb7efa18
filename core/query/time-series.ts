/**
 * Series of totals over time (SelectSeries).
 *
 * 1. Points lie at start, start + step, … up to end; they are not aligned to the epoch. The point at t covers
 *    (t - step, t], the first one also t - step itself, so the data range is [start - step, last point].
 * 2. A profile's total is added at its point of the output series of its group: its labels restricted to group_by, in
 *    that order, absent ones left out. Points without a profile do not exist.
 * 3. Sums are exact int64 with a count of profiles, so that partial answers merge in any order and averages stay right.
 * 4. At the end: series by total descending, then by labels; the first `limit`; values as doubles.
 *
 * Points are rows in the order in which they came: memory follows those that exist, not range / step. Headers come by series
 * and time, so that a point is the newest of its series, or behind it, as a rule; the first one that is neither has an open
 * hash on (series, step) made of all.
 */
import { invalidArgument } from '../errors.ts'
import { compareLabels, type Labels, labelsKey, projectLabels } from '../labels/labels.ts'
import type { TimeSeries } from '../rpc/query-backend.ts'
import { MS_PER_SECOND } from '../units.ts'
import { GrowingInt64, GrowingUint32 } from '../wire/growing.ts'
import { bigIntsAt, type Int64Column } from '../wire/int64.ts'
import { hashPair, tableFactors } from '../wire/table-hash.ts'
import type { ShownExemplar } from './exemplar-wire.ts'
import { isMark, marksOf, type PointAnnotation, takeMarks } from './point-annotations.ts'

/** 4 Mi points take 28 to 36 bytes each, about 130 MB, and 45 bytes of JSON each, about 190 MB. */
export const SERIES_POINTS_MAX = 1 << 22

/** What a uint32 column holds: 49 days in steps of 1 ms. */
const STEP_INDEX_MAX = 0xffffffff

export interface StepRange {
  readonly startMs: number
  readonly endMs: number
  readonly stepMs: number
}

/** From the request's seconds; fractions below a millisecond are cut. Fails with `invalid_argument` below 1 ms. */
export function stepMsOf(stepSeconds: number): number {
  // Round to the microsecond first: 0.007 * 1000 is 7.000000000000001, 1.001 * 1000 is 1000.9999999999999.
  const stepMs = Math.floor(Math.round(stepSeconds * MS_PER_SECOND * 1000) / 1000)
  if (stepMs >= 1 && stepMs <= Number.MAX_SAFE_INTEGER) return stepMs
  throw invalidArgument(`step must be >= 1ms, got ${stepSeconds} s`, 'invalid_step')
}

/** Times of the profiles that a query reads, inclusive at both ends. */
export function dataRangeOf(range: StepRange): { readonly startMs: number; readonly endMs: number } {
  const lastIndex = Math.floor((range.endMs - range.startMs) / range.stepMs)
  return { startMs: range.startMs - range.stepMs, endMs: range.startMs + lastIndex * range.stepMs }
}

/** Index of the point that covers a time, or -1. */
export function stepIndexOf(range: StepRange, timeMs: number): number {
  const index = Math.ceil((timeMs - range.startMs) / range.stepMs)
  if (range.startMs + index * range.stepMs > range.endMs) return -1
  if (index > 0) return index
  return timeMs >= range.startMs - range.stepMs ? 0 : -1
}

const SLOTS_MIN = 256

/** Points as columns, by row. */
export interface SeriesRows {
  readonly labels: readonly Labels[]
  /** By series, steps ascending; a series may have none. */
  readonly rowsOf: readonly (readonly number[])[]
  readonly steps: Uint32Array
  readonly counts: Uint32Array
  readonly sums: Int64Column
}

/** Sums points of output series. Series are numbers, handed out by `seriesOf`; the hot call is `add`. */
export class TimeSeriesBuilder {
  readonly #groupBy: readonly string[]
  readonly #pointsMax: number
  readonly #labels: Labels[] = []
  readonly #seriesByKey = new Map<string, number>()
  readonly #series = new GrowingUint32()
  readonly #step = new GrowingUint32()
  readonly #sum = new GrowingInt64()
  readonly #count = new GrowingUint32()
  /** By series the row of its highest step; -1: it has none. */
  readonly #newest: number[] = []
  /** Series that are marks of others. */
  #marks = 0
  readonly #factors = tableFactors()
  /** Row + 1, 0 = free; at half load at most. Empty: nobody had to look for a row. */
  #slots = new Uint32Array(0)
  /** The first partial answer, as it came: most queries have no second one, and it is built already. */
  #only: readonly TimeSeries[] | undefined

  constructor(groupBy: readonly string[], pointsMax = SERIES_POINTS_MAX) {
    this.#groupBy = groupBy
    this.#pointsMax = pointsMax
  }

  get seriesCount(): number {
    if (this.#only !== undefined) return this.#only.filter(({ labels }) => !isMark(labels)).length
    return this.#labels.length - this.#marks
  }

  /** The output series of a set of typed labels. Called once per input series, not per profile. */
  seriesOf(labels: Labels): number {
    this.#unpackOnly()
    return this.#internSeries(projectLabels(labels, this.#groupBy))
  }

  /** Adds one profile's total to a point. */
  add(series: number, stepIndex: number, lo: number, hi: number): void {
    const row = this.#pointOf(series, stepIndex)
    this.#addSum(row, lo, hi)
    this.#count.array[row]!++
  }

  /** The marks of the output series of a set of typed labels (point-annotations.ts). */
  marksOf(labels: Labels, sampledBy: string): number {
    this.#unpackOnly()
    return this.#internSeries(marksOf(projectLabels(labels, this.#groupBy), sampledBy))
  }

  /** A point of marks: its row, without a profile. */
  mark(marks: number, stepIndex: number): void {
    this.#pointOf(marks, stepIndex)
  }

  /** Adds what `build` gave elsewhere; its labels are already restricted. */
  merge(partials: readonly TimeSeries[]): void {
    const pointCount = partials.reduce((sum, { stepIndexes }) => sum + stepIndexes.length, 0)
    if (this.#only === undefined && this.#labels.length === 0 && pointCount <= this.#pointsMax) {
      this.#only = partials
      return
    }
    this.#unpackOnly()
    this.#mergeEach(partials)
  }

  #unpackOnly(): void {
    const only = this.#only
    this.#only = undefined
    if (only !== undefined) this.#mergeEach(only)
  }

  #mergeEach(partials: readonly TimeSeries[]): void {
    for (const partial of partials) {
      const series = this.#internSeries(partial.labels)
      for (let i = 0; i < partial.stepIndexes.length; i++) {
        const row = this.#pointOf(series, partial.stepIndexes[i]!)
        const sum = partial.sums[i]!
        this.#addSum(row, Number(sum & 0xffffffffn), Number((sum >> 32n) & 0xffffffffn))
        this.#count.array[row]! += partial.counts[i]!
      }
    }
  }

  /** The points where they lie; undefined: they are a partial answer, as it came. */
  rows(): SeriesRows | undefined {
    if (this.#only !== undefined) return undefined
    const sums = { lo: this.#sum.lo.array, hi: this.#sum.hi.array }
    const [steps, counts] = [this.#step.array, this.#count.array]
    return { labels: this.#labels, rowsOf: this.#rowsBySeries(), steps, counts, sums }
  }

  /** Every series that has a point, points ascending; series in order of first use. */
  build(): TimeSeries[] {
    if (this.#only !== undefined) return this.#only.filter((each) => each.stepIndexes.length > 0)
    const rowsOf = this.#rowsBySeries()
    const steps = this.#step.array
    const counts = this.#count.array
    const sums = { lo: this.#sum.lo.array, hi: this.#sum.hi.array }
    return this.#labels.flatMap((labels, series): TimeSeries[] => {
      const rows = rowsOf[series]!
      if (rows.length === 0) return []
      return [
        {
          labels: [...labels],
          stepIndexes: rows.map((row) => steps[row]!),
          sums: bigIntsAt(sums, rows),
          counts: rows.map((row) => counts[row]!),
        },
      ]
    })
  }

  /** By series the rows of its points, by step. Headers come by series and time, so that they are in order as a rule. */
  #rowsBySeries(): number[][] {
    const rowsOf: number[][] = this.#labels.map(() => [])
    const isSorted = new Uint8Array(rowsOf.length).fill(1)
    const steps = this.#step.array
    const series = this.#series.array
    for (let row = 0; row < this.#step.count; row++) {
      const own = rowsOf[series[row]!]!
      if (own.length > 0 && steps[own[own.length - 1]!]! > steps[row]!) isSorted[series[row]!] = 0
      own.push(row)
    }
    rowsOf.forEach((rows, each) => isSorted[each] === 0 && rows.sort((a, b) => steps[a]! - steps[b]!))
    return rowsOf
  }

  #addSum(row: number, lo: number, hi: number): void {
    const los = this.#sum.lo.array
    const his = this.#sum.hi.array
    const sum = los[row]! + lo
    los[row] = sum
    his[row] = his[row]! + hi + (sum > 0xffffffff ? 1 : 0)
  }

  #internSeries(labels: Labels): number {
    const key = labelsKey(labels)
    const known = this.#seriesByKey.get(key)
    if (known !== undefined) return known
    const series = this.#labels.push(labels) - 1
    this.#newest.push(-1)
    if (isMark(labels)) this.#marks++
    this.#seriesByKey.set(key, series)
    return series
  }

  #pointOf(series: number, step: number): number {
    const newest = this.#newest[series]!
    if (newest >= 0) {
      const highest = this.#step.array[newest]!
      // The next profile is often in the same step.
      if (highest === step) return newest
      if (highest > step) return this.#findOrAppend(series, step)
    }
    const row = this.#appendPoint(series, step)
    this.#newest[series] = row
    return row
  }

  #findOrAppend(series: number, step: number): number {
    if (this.#slots.length === 0) this.#rehash()
    const mask = this.#slots.length - 1
    let slot = hashPair(this.#factors, series, step) & mask
    for (;;) {
      const entry = this.#slots[slot]!
      if (entry === 0) return this.#appendPoint(series, step)
      if (this.#step.array[entry - 1] === step && this.#series.array[entry - 1] === series) return entry - 1
      slot = (slot + 1) & mask
    }
  }

  #appendPoint(series: number, step: number): number {
    const row = this.#step.count
    if (step > STEP_INDEX_MAX) {
      throw invalidArgument(
        `step number ${step} of the range is over the limit ${STEP_INDEX_MAX}: use a longer step`,
        'invalid_step',
      )
    }
    if (row >= this.#pointsMax) {
      // A mark takes a row, and more of the answer than its point does.
      const counted = this.#marks === 0 ? '' : ' and annotations of them'
      throw invalidArgument(
        `the answer has more than ${this.#pointsMax} points${counted}, the limit: use a longer step, fewer groups or a shorter range`,
        'max_series_points',
      )
    }
    this.#series.push(series)
    this.#step.push(step)
    this.#sum.push(0, 0)
    this.#count.push(0)
    if (this.#slots.length === 0) return row
    if (this.#step.count * 2 > this.#slots.length) this.#rehash()
    else this.#insert(row)
    return row
  }

  #rehash(): void {
    let size = SLOTS_MIN
    while (size < this.#step.count * 2) size *= 2
    this.#slots = new Uint32Array(size * 2)
    for (let row = 0; row < this.#step.count; row++) this.#insert(row)
  }

  #insert(row: number): void {
    const mask = this.#slots.length - 1
    let slot = hashPair(this.#factors, this.#series.array[row]!, this.#step.array[row]!) & mask
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask
    this.#slots[slot] = row + 1
  }
}

/** Merges partial answers of query-backends; any grouping and order of them gives the same. */
export function mergeTimeSeries(partials: readonly (readonly TimeSeries[])[]): TimeSeries[] {
  const builder = new TimeSeriesBuilder([])
  for (const partial of partials) builder.merge(partial)
  return builder.build()
}

export type Aggregation = 'sum' | 'average'

export interface SeriesPoint {
  readonly timestampMs: number
  readonly value: number
  /** Absent: none were asked for. */
  readonly exemplars?: readonly ShownExemplar[]
  /** Absent: nothing is to be said of its profiles. */
  readonly annotations?: readonly PointAnnotation[]
}

export interface SeriesAnswer {
  readonly labels: Labels
  readonly points: SeriesPoint[]
}

/** The answer to a client. `limit` 0 or below = all series. */
export function finishTimeSeries(
  series: readonly TimeSeries[],
  options: { readonly range: StepRange; readonly aggregation: Aggregation; readonly limit: number },
): SeriesAnswer[] {
  const { range, aggregation, limit } = options
  const { series: shown, annotationsOf } = takeMarks(series)
  const ranked = shown.map((each) => ({ each, total: totalOf(each) }))
  ranked.sort((a, b) => {
    if (a.total !== b.total) return a.total > b.total ? -1 : 1
    return compareLabels(a.each.labels, b.each.labels)
  })
  const chosen = limit > 0 ? ranked.slice(0, limit) : ranked
  return chosen.map(({ each }) => {
    const notesAt = annotationsOf(each.labels)
    const points = each.stepIndexes.map((index, i): SeriesPoint => {
      const timestampMs = range.startMs + index * range.stepMs
      const value = aggregation === 'sum' ? Number(each.sums[i]!) : Number(each.sums[i]!) / each.counts[i]!
      const annotations = notesAt?.(index)
      return annotations === undefined ? { timestampMs, value } : { timestampMs, value, annotations }
    })
    return { labels: each.labels, points }
  })
}

/** Adding bigints costs several times the rest of this; below 2^53 doubles are exact. */
function totalOf({ sums }: TimeSeries): bigint {
  let total = 0
  for (let i = 0; i < sums.length; i++) {
    const value = Number(sums[i]!)
    total += value
    if (!Number.isSafeInteger(value) || !Number.isSafeInteger(total)) return sums.reduce((sum, each) => sum + each, 0n)
  }
  return BigInt(total)
}
