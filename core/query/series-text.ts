/**
 * Series as the JSON text of a SelectSeriesResponse, as Connect writes it: zeros left out, times as text.
 */
import { exemplarsText } from './exemplar-wire.ts'
import { labelsText } from './label-wire.ts'
import type { SeriesAnswer, SeriesPoint } from './time-series.ts'

export function seriesAnswersText(answers: readonly SeriesAnswer[]): string {
  if (answers.length === 0) return '{}'
  const series = answers.map(({ labels, points }) => {
    const fields = [
      ...labelsText(labels),
      ...(points.length === 0
        ? []
        : [
            `"points":[${points.map((point) => (point.exemplars === undefined ? plainPointText(point) : pointText(point))).join(',')}]`,
          ]),
    ]
    return `{${fields.join(',')}}`
  })
  return `{"series":[${series.join(',')}]}`
}

function pointText({ timestampMs, value, exemplars = [] }: SeriesPoint): string {
  const fields = [
    ...(value === 0 ? [] : [`"value":${value}`]),
    ...(timestampMs === 0 ? [] : [`"timestamp":"${timestampMs}"`]),
    ...exemplarsText(exemplars),
  ]
  return `{${fields.join(',')}}`
}

/** Without exemplars: a list of fields a point would take three times as long. */
function plainPointText({ timestampMs, value }: SeriesPoint): string {
  if (value === 0) return timestampMs === 0 ? '{}' : `{"timestamp":"${timestampMs}"}`
  return timestampMs === 0 ? `{"value":${value}}` : `{"value":${value},"timestamp":"${timestampMs}"}`
}
