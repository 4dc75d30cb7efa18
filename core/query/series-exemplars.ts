/** The highest profile or span of every point of time series, beside the totals of the points. */
import { labelsKey } from '../labels/labels.ts'
import type { PointSeries } from '../rpc/query-backend.ts'
import type { ShownExemplar } from './exemplar-wire.ts'
import type { SeriesAnswer, StepRange } from './time-series.ts'

/** `best`: one row a step, with its exemplar. A point that nobody named has none. */
export function withExemplars(
  answers: readonly SeriesAnswer[],
  best: readonly PointSeries[],
  { startMs, stepMs }: Pick<StepRange, 'startMs' | 'stepMs'>,
): SeriesAnswer[] {
  const bySeries = new Map(best.map(({ labels, ...rows }) => [labelsKey(labels), rowsByStep(rows)]))
  return answers.map(({ labels, points }) => {
    const rows = bySeries.get(labelsKey(labels))
    const named = points.map((point) => {
      const found = rows?.get((point.timestampMs - startMs) / stepMs)
      return { ...point, exemplars: found === undefined ? [] : [found] }
    })
    return { labels, points: named }
  })
}

function rowsByStep({ steps, values, exemplars }: Pick<PointSeries, 'steps' | 'values' | 'exemplars'>) {
  const rows = new Map<number, ShownExemplar>()
  steps.forEach((step, i) => rows.set(step, { value: values[i]!, exemplar: exemplars[i]! }))
  return rows
}
