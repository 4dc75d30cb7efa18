/**
 * Series as the JSON text of a SelectSeriesResponse, as Connect writes it: zeros left out, times as text. Points with
 * exemplars are not written here.
 */
import type { Labels } from '../labels/labels.ts'
import type { SeriesAnswer, SeriesPoint } from './time-series.ts'

export function seriesAnswersText(answers: readonly SeriesAnswer[]): string {
  if (answers.length === 0) return '{}'
  const series = answers.map(({ labels, points }) => {
    const fields = [
      ...labelsText(labels),
      ...(points.length === 0 ? [] : [`"points":[${points.map(pointText).join(',')}]`]),
    ]
    return `{${fields.join(',')}}`
  })
  return `{"series":[${series.join(',')}]}`
}

/** The field `labels` of an object; none without labels. */
export function labelsText(labels: Labels): string[] {
  const pairs = labels.map(({ name, value }) => JSON.stringify({ name: name || undefined, value: value || undefined }))
  return pairs.length === 0 ? [] : [`"labels":[${pairs.join(',')}]`]
}

function pointText({ timestampMs, value }: SeriesPoint): string {
  if (value === 0) return timestampMs === 0 ? '{}' : `{"timestamp":"${timestampMs}"}`
  return timestampMs === 0 ? `{"value":${value}}` : `{"value":${value},"timestamp":"${timestampMs}"}`
}
