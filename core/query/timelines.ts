/**
 * The timelines of a render answer as JSON text: of all series together, and of each group. Dense: a step without a profile is
 * a 0, so that 1,000 groups of a day are 1.4 million numbers, however few profiles there are; their number has a bound.
 */
import { invalidArgument } from '../errors.ts'
import { getLabel } from '../labels/labels.ts'
import type { TimeSeries } from '../rpc/query-backend.ts'
import { buildTimeline, type Timeline } from './timeline.ts'
import { type Aggregation, finishTimeSeries, type SeriesAnswer, type StepRange } from './time-series.ts'

/** As many as time series may have points: 8 MB of zeros, 80 MB of numbers of 19 digits. */
const SAMPLES_MAX = 1 << 22

export interface TimelinesEnd {
  /** All that are shown. */
  readonly steps: StepRange
  /** Those that were asked for: a range that was cut begins later. */
  readonly range: StepRange
  readonly aggregation: Aggregation
  readonly groupBy: readonly string[]
}

/** Two fields of the answer. */
export function timelinesText(
  series: readonly TimeSeries[],
  { steps, range, aggregation, groupBy }: TimelinesEnd,
  samplesMax = SAMPLES_MAX,
): string {
  const answers = finishTimeSeries(series, { range, aggregation, limit: 0 })
  // Series of several values have no timeline of their own: zeros.
  const all = textOf(buildTimeline(steps, answers.length === 1 ? answers[0]!.points : []))
  return `"timeline":${all},"groups":${groupBy.length === 0 ? 'null' : groupsText(answers, { steps, groupBy, samplesMax })}`
}

/** A group is named by the value of the first label, `*` without it; of series with one name the last in order stays. */
function groupsText(
  answers: readonly SeriesAnswer[],
  { steps, groupBy, samplesMax }: Pick<TimelinesEnd, 'steps' | 'groupBy'> & { readonly samplesMax: number },
): string {
  const byName = new Map(answers.map((answer) => [getLabel(answer.labels, groupBy[0]!) || '*', answer]))
  const stepCount = (steps.endMs - steps.startMs) / steps.stepMs
  if (byName.size * stepCount > samplesMax) {
    throw invalidArgument(
      `the timelines have ${byName.size} groups of ${stepCount} steps, at most ${samplesMax} steps are answered: ` +
        'group by a label with fewer values, or narrow the selector',
      'max_timeline_samples',
    )
  }
  const groups = [...byName].map(
    ([name, { points }]) => `${JSON.stringify(name)}:${textOf(buildTimeline(steps, points))}`,
  )
  return `{${groups.join(',')}}`
}

function textOf({ samples, startTime, durationDelta }: Timeline): string {
  const written = samples.map((sample) => (Number.isSafeInteger(sample) ? String(sample) : String(BigInt(sample))))
  return `{"startTime":${startTime},"samples":[${written.join(',')}],"durationDelta":${durationDelta},"watermarks":null}`
}
