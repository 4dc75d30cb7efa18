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

/** Of the points of one series, asked by ascending step; undefined: none. */
export type NotesOfSeries = (step: number) => readonly PointAnnotation[] | undefined

export interface Unmarked {
  readonly series: readonly TimeSeries[]
  /** Undefined: the series has none. */
  readonly annotationsOf: (labels: Labels) => NotesOfSeries | undefined
}

/**
 * Takes the marks out; without any, which is the rule, the list is given back as it is. Nothing is kept by point: of 2 million
 * points a key and a list each were 900 MB.
 */
export function takeMarks(series: readonly TimeSeries[]): Unmarked {
  const marks = series.filter(({ labels }) => isMark(labels))
  if (marks.length === 0) return { series, annotationsOf: () => undefined }
  marks.sort((a, b) => compareUtf8(a.labels[a.labels.length - 1]!.value, b.labels[b.labels.length - 1]!.value))
  const bySeries = new Map<string, TimeSeries[]>()
  for (const mark of marks) {
    const key = labelsKey(mark.labels.slice(0, -1))
    const known = bySeries.get(key)
    if (known === undefined) bySeries.set(key, [mark])
    else known.push(mark)
  }
  return {
    series: series.filter(({ labels }) => !isMark(labels)),
    annotationsOf(labels) {
      const own = bySeries.get(labelsKey(labels))
      return own && notesOf(own)
    },
  }
}

/** Walks the steps of all marks beside those of the points: both ascend. Points that say the same share a list. */
function notesOf(marks: readonly TimeSeries[]): NotesOfSeries {
  const walks = marks.map(({ labels, stepIndexes }) => {
    const annotation = { key: SAMPLED_KEY, value: labels[labels.length - 1]!.value }
    const longer = new Map<readonly PointAnnotation[] | undefined, readonly PointAnnotation[]>()
    return { annotation, longer, stepIndexes, at: 0 }
  })
  return (step) => {
    let notes: readonly PointAnnotation[] | undefined
    for (const walk of walks) {
      const { annotation, longer, stepIndexes } = walk
      while (walk.at < stepIndexes.length && stepIndexes[walk.at]! < step) walk.at++
      if (stepIndexes[walk.at] !== step) continue
      const more: readonly PointAnnotation[] = longer.get(notes) ?? [...(notes ?? []), annotation]
      longer.set(notes, more)
      notes = more
    }
    return notes
  }
}
