/**
 * Series as the JSON text of a SelectSeriesResponse, as Connect writes it: zeros left out, times as text.
 */
import { ExemplarWriter } from './exemplar-wire.ts'
import { labelsText } from './label-wire.ts'
import type { PointAnnotation } from './point-annotations.ts'
import type { SeriesAnswer, SeriesPoint } from './time-series.ts'

export function seriesAnswersText(answers: readonly SeriesAnswer[]): string {
  if (answers.length === 0) return '{}'
  const named = new ExemplarWriter()
  const textOf = (point: SeriesPoint) =>
    point.exemplars === undefined && point.annotations === undefined ? plainPointText(point) : pointText(point, named)
  const series = answers.map(({ labels, points }) => {
    const fields = [
      ...labelsText(labels),
      ...(points.length === 0 ? [] : [`"points":[${points.map(textOf).join(',')}]`]),
    ]
    return `{${fields.join(',')}}`
  })
  return `{"series":[${series.join(',')}]}`
}

function pointText(
  { timestampMs, value, annotations = [], exemplars = [] }: SeriesPoint,
  named: ExemplarWriter,
): string {
  const fields = [
    ...(value === 0 ? [] : [`"value":${value}`]),
    ...(timestampMs === 0 ? [] : [`"timestamp":"${timestampMs}"`]),
    ...(annotations.length === 0 ? [] : [`"annotations":[${annotations.map(annotationText).join(',')}]`]),
    ...named.texts(exemplars),
  ]
  return `{${fields.join(',')}}`
}

/** With nothing else: a list of fields a point would take three times as long. */
function plainPointText({ timestampMs, value }: SeriesPoint): string {
  if (value === 0) return timestampMs === 0 ? '{}' : `{"timestamp":"${timestampMs}"}`
  return timestampMs === 0 ? `{"value":${value}}` : `{"value":${value},"timestamp":"${timestampMs}"}`
}

function annotationText({ key, value }: PointAnnotation): string {
  return `{"key":${JSON.stringify(key)},"value":${JSON.stringify(value)}}`
}
