/**
 * Annotations of points in time series: what happened to the profiles of a point before they were stored. Points of
 * profiles that a usage group's sampling kept, or reduced to totals, say with which probability (core/ingest/pipeline.ts).
 *
 * 1. Where a profile of a sampled series adds to a point, the point is marked: a series of its own beside the output series,
 *    with one more label at the end, has a row without a profile at that step.
 * 2. Marks travel and merge as series do: in partial answers, in kept reports, between processes.
 * 3. At the end they are taken out of the series, and their points get them, sorted by value, each once.
 * Must not: count as series, or change a sum, a count or an order.
 */
import { compareUtf8, LABEL_SAMPLED_BY, type Labels, labelsKey } from '../labels/labels.ts'
import type { TimeSeries } from '../rpc/query-backend.ts'

/** As the wire names it. */
export const SAMPLED_KEY = 'pyroscope.ingest.sampled'

export interface PointAnnotation {
  readonly key: string
  readonly value: string
}

/** Labels of the marks of an output series. */
export function marksOf(labels: Labels, sampledBy: string): Labels {
  return [...labels, { name: LABEL_SAMPLED_BY, value: sampledBy }]
}

/** No output series has that label: typed labels lack it. */
export function isMark(labels: Labels): boolean {
  return labels.length > 0 && labels[labels.length - 1]!.name === LABEL_SAMPLED_BY
}

export interface Unmarked {
  readonly series: readonly TimeSeries[]
  /** Of a point of an output series; undefined: none. */
  readonly annotationsOf: (labels: Labels, step: number) => readonly PointAnnotation[] | undefined
}

/** Takes the marks out; without any, which is the rule, the list is given back as it is. */
export function takeMarks(series: readonly TimeSeries[]): Unmarked {
  const marks = series.filter(({ labels }) => isMark(labels))
  if (marks.length === 0) return { series, annotationsOf: () => undefined }
  marks.sort((a, b) => compareUtf8(a.labels[a.labels.length - 1]!.value, b.labels[b.labels.length - 1]!.value))
  const byPoint = new Map<string, PointAnnotation[]>()
  for (const { labels, stepIndexes } of marks) {
    const annotation = { key: SAMPLED_KEY, value: labels[labels.length - 1]!.value }
    const base = labelsKey(labels.slice(0, -1))
    for (const step of stepIndexes) {
      const key = `${step} ${base}`
      const known = byPoint.get(key)
      if (known === undefined) byPoint.set(key, [annotation])
      else known.push(annotation)
    }
  }
  return {
    series: series.filter(({ labels }) => !isMark(labels)),
    annotationsOf: (labels, step) => byPoint.get(`${step} ${labelsKey(labels)}`),
  }
}
