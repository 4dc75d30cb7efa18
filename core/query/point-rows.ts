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

/** Rows of one step: the only one, or all by value. No key is made of both, which as text costs more than the row. */
type StepRows = Row | Map<bigint, Row>

interface Series {
  readonly labels: Labels
  readonly steps: Map<number, StepRows>
}

export class PointRows {
  readonly #options: PointRowsOptions
  readonly #rowsMax: number
  readonly #series = new Map<string, Series>()
  #rowCount = 0
  /** Points come series by series: labels that are the same object need no key. */
  #last: { readonly given: Labels; readonly series: Series } | undefined
  /** The first partial answer, as it came: most queries have no second one, and it is built already. */
  #only: readonly PointSeries[] | undefined

  constructor(options: PointRowsOptions) {
    this.#options = options
    this.#rowsMax = options.rowsMax ?? (options.exemplars ? EXEMPLAR_ROWS_MAX : POINT_ROWS_MAX)
  }

  get seriesCount(): number {
    return this.#only?.length ?? this.#series.size
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
    return series.map(({ labels, steps }) => {
      const rows = [...steps.values()].flatMap((of) => (of instanceof Map ? [...of.values()] : [of]))
      const sorted = rows.sort((a, b) => a.step - b.step || (a.value < b.value ? -1 : 1))
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
    if (this.#last?.given === labels) return this.#last.series
    const key = labelsKey(labels)
    let series = this.#series.get(key)
    if (series === undefined) {
      series = { labels, steps: new Map() }
      this.#series.set(key, series)
    }
    this.#last = { given: labels, series }
    return series
  }

  #add(
    series: Series,
    point: { readonly step: number; readonly value: bigint; readonly count: number },
    exemplar: (() => PointExemplar) | undefined,
  ): void {
    const { step, value, count } = point
    const rows = series.steps.get(step)
    const row = this.#findRow(rows, value)
    if (row === undefined) {
      if (++this.#rowCount > this.#rowsMax) throw tooMany(this.#rowsMax)
      const added: Row = { step, value, count, exemplar: exemplar?.() }
      if (rows === undefined) series.steps.set(step, added)
      else if (rows instanceof Map) rows.set(value, added)
      else
        series.steps.set(
          step,
          new Map([
            [rows.value, rows],
            [value, added],
          ]),
        )
      return
    }
    row.count += count
    if (value < row.value) return
    const other = exemplar?.()
    if (value > row.value || (other !== undefined && isBefore(other, row.exemplar))) row.exemplar = other
    row.value = value
  }

  /** The row that the point goes into; of the best there is one a step. */
  #findRow(rows: StepRows | undefined, value: bigint): Row | undefined {
    if (rows instanceof Map) return rows.get(value)
    return this.#options.best || rows?.value === value ? rows : undefined
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
