/**
 * A heat map from points: how many profiles or spans have a value in which range, over time.
 *
 * 1. Values from the least to the greatest of all series are cut into 20 equal ranges; the lower ends are whole numbers.
 *    A value counts in the last range whose lower end it reaches, so that equal values count in the last one.
 * 2. A slot is a step of a series that has a point; its time is the end of the step.
 * 3. An exemplar is the point with the greatest value of its range.
 * 4. Series by number of points descending, then by labels; the first `limit`. The ranges are those of all series.
 */
import { invalidArgument } from '../errors.ts'
import { compareLabels, type Labels } from '../labels/labels.ts'
import type { PointSeries } from '../rpc/query-backend.ts'
import type { ShownExemplar } from './exemplar-wire.ts'

const RANGES = 20
/** A slot is 300 to 600 bytes of JSON: 40 MB of an answer, more than any screen has columns. */
export const SLOTS_MAX = 1 << 16

export interface HeatmapOptions {
  readonly originMs: number
  readonly stepMs: number
  /** 0 = all series. */
  readonly limit: number
}

export interface HeatmapSlotAnswer {
  readonly timestampMs: number
  readonly yMin: readonly number[]
  readonly counts: number[]
  readonly exemplars: ShownExemplar[]
}

export interface HeatmapAnswer {
  readonly labels: Labels
  readonly slots: HeatmapSlotAnswer[]
}

/** As `PointRows.build` gives them: rows by step, then by value. */
export function finishHeatmap(series: readonly PointSeries[], options: HeatmapOptions): HeatmapAnswer[] {
  const lowerEnds = lowerEndsOf(series)
  const yMin = lowerEnds.map(Number)
  const ranked = series.map((each) => ({ each, points: each.counts.reduce((sum, count) => sum + count, 0) }))
  ranked.sort((a, b) => b.points - a.points || compareLabels(a.each.labels, b.each.labels))
  const chosen = options.limit > 0 ? ranked.slice(0, options.limit) : ranked
  checkSlots(chosen.reduce((sum, { each }) => sum + new Set(each.steps).size, 0))
  return chosen.map(({ each }) => ({ labels: each.labels, slots: slotsOf(each, { ...options, lowerEnds, yMin }) }))
}

function checkSlots(count: number): void {
  if (count <= SLOTS_MAX) return
  throw invalidArgument(
    `the heat map has ${count} slots, at most ${SLOTS_MAX} are answered: use a longer step, fewer groups or a limit`,
    'max_slots',
  )
}

function lowerEndsOf(series: readonly PointSeries[]): bigint[] {
  let least: bigint | undefined
  let greatest: bigint | undefined
  for (const { values } of series) {
    for (const value of values) {
      if (least === undefined || value < least) least = value
      if (greatest === undefined || value > greatest) greatest = value
    }
  }
  if (least === undefined || greatest === undefined) return []
  const width = greatest - least
  return Array.from({ length: RANGES }, (_, i) => least + (width * BigInt(i)) / BigInt(RANGES))
}

function slotsOf(
  { steps, values, counts, exemplars }: PointSeries,
  {
    originMs,
    stepMs,
    lowerEnds,
    yMin,
  }: HeatmapOptions & { readonly lowerEnds: readonly bigint[]; readonly yMin: readonly number[] },
): HeatmapSlotAnswer[] {
  const slots: HeatmapSlotAnswer[] = []
  let step = -1
  let best: (HeatmapSlotAnswer['exemplars'][number] | undefined)[] = []
  const close = (): void => {
    slots.at(-1)?.exemplars.push(...best.filter((each) => each !== undefined))
    best = []
  }
  steps.forEach((at, i) => {
    if (at !== step) {
      close()
      step = at
      slots.push({ timestampMs: originMs + at * stepMs, yMin, counts: yMin.map(() => 0), exemplars: [] })
    }
    const range = lowerEnds.findLastIndex((end) => end <= values[i]!)
    slots.at(-1)!.counts[range]! += counts[i]!
    const exemplar = exemplars[i]
    // Rows of a step ascend by value: the last of a range is its greatest.
    if (exemplar !== undefined) best[range] = { value: values[i]!, exemplar }
  })
  close()
  return slots
}
