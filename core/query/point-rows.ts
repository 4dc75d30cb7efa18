/**
 * Individual profiles or spans as points: what heat maps count and exemplars show.
 *
 * 1. A point is a value in a step of an output series. Equal points (series, step, value) are one row with a count.
 * 2. With exemplars a row keeps one of its points by name: the first by time, then by ids, so that partial answers merge
 *    in any order and give the same.
 * 3. `best`: a step of a series keeps its highest value alone, which is what exemplars of time series need.
 *
 * Rows are bounded: past the limit the query is refused with the way out, never thinned out.
 */
import { invalidArgument } from '../errors.ts'
import { compareLabels, type Labels, labelsKey } from '../labels/labels.ts'
import type { PointExemplar, PointSeries } from '../rpc/query-backend.ts'

/** 450 bytes each with their answer, 235 MB (measured): the profiles of 90 instances over a day, one in 15 s. */
const POINT_ROWS_MAX = 1 << 19
/** With labels and ids 1 KB each, 125 MB (measured). */
const EXEMPLAR_ROWS_MAX = 1 << 17

export interface PointRowsOptions {
  /** One row a step: the highest value. */
  readonly best: boolean
  readonly exemplars: boolean
  readonly rowsMax?: number
}

interface Row {
  readonly step: number
  value: bigint
  count: number
  exemplar: PointExemplar | undefined
}

interface Series {
  readonly labels: Labels
  readonly rows: Map<string, Row>
}

export class PointRows {
  readonly #options: PointRowsOptions
  readonly #rowsMax: number
  readonly #series = new Map<string, Series>()
  #rowCount = 0
  /** The first partial answer, as it came: most queries have no second one, and it is built already. */
  #only: readonly PointSeries[] | undefined

  constructor(options: PointRowsOptions) {
    this.#options = options
    this.#rowsMax = options.rowsMax ?? (options.exemplars ? EXEMPLAR_ROWS_MAX : POINT_ROWS_MAX)
  }

  /** `exemplar` is asked for only where it may be kept. */
  add(labels: Labels, point: { readonly step: number; readonly value: bigint }, exemplar: () => PointExemplar): void {
    this.#unpackOnly()
    this.#add(this.#seriesOf(labels), { ...point, count: 1 }, this.#options.exemplars ? exemplar : undefined)
  }

  /** Adds what `build` gave elsewhere, of rows with the same options. */
  merge(partials: readonly PointSeries[]): void {
    const rowCount = partials.reduce((sum, { steps }) => sum + steps.length, 0)
    if (this.#only === undefined && this.#series.size === 0 && rowCount <= this.#rowsMax) {
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

  #mergeEach(partials: readonly PointSeries[]): void {
    for (const { labels, steps, values, counts, exemplars } of partials) {
      const series = this.#seriesOf(labels)
      steps.forEach((step, i) => {
        const exemplar = exemplars[i]
        const point = { step, value: values[i]!, count: counts[i]! }
        this.#add(series, point, exemplar === undefined ? undefined : () => exemplar)
      })
    }
  }

  /** Series by labels; rows by step, then by value. */
  build(): PointSeries[] {
    if (this.#only !== undefined) return [...this.#only]
    const series = [...this.#series.values()].sort((a, b) => compareLabels(a.labels, b.labels))
    return series.map(({ labels, rows }) => {
      const sorted = [...rows.values()].sort((a, b) => a.step - b.step || (a.value < b.value ? -1 : 1))
      return {
        labels: [...labels],
        steps: sorted.map(({ step }) => step),
        values: sorted.map(({ value }) => value),
        counts: sorted.map(({ count }) => count),
        exemplars: sorted.flatMap(({ exemplar }) => (exemplar === undefined ? [] : [exemplar])),
      }
    })
  }

  #seriesOf(labels: Labels): Series {
    const key = labelsKey(labels)
    let series = this.#series.get(key)
    if (series === undefined) {
      series = { labels, rows: new Map() }
      this.#series.set(key, series)
    }
    return series
  }

  #add(
    series: Series,
    point: { readonly step: number; readonly value: bigint; readonly count: number },
    exemplar: (() => PointExemplar) | undefined,
  ): void {
    const { step, value, count } = point
    const key = this.#options.best ? String(step) : `${step},${value}`
    const row = series.rows.get(key)
    if (row === undefined) {
      if (++this.#rowCount > this.#rowsMax) throw tooMany(this.#rowsMax)
      series.rows.set(key, { step, value, count, exemplar: exemplar?.() })
      return
    }
    row.count += count
    if (value < row.value) return
    const other = exemplar?.()
    if (value > row.value || (other !== undefined && isBefore(other, row.exemplar))) row.exemplar = other
    row.value = value
  }
}

function tooMany(rowsMax: number): Error {
  return invalidArgument(
    `the query has more than ${rowsMax} different points, the limit: use a shorter range or a narrower selector`,
    'max_points',
  )
}

function isBefore(a: PointExemplar, b: PointExemplar | undefined): boolean {
  if (b === undefined) return true
  if (a.timeMs !== b.timeMs) return a.timeMs < b.timeMs
  if (a.profileId !== b.profileId) return a.profileId < b.profileId
  if (a.spanId !== b.spanId) return a.spanId < b.spanId
  return compareLabels(a.labels, b.labels) < 0
}
