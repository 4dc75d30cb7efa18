/**
 * Timelines of the render endpoint: about 1,500 evenly spaced totals over a range.
 *
 * 1. The step follows from the range: the smallest of a ladder that people read (15 s, 20 s, 30 s, 1 min, ...).
 * 2. Start and end snap down to the step. Sample i is the point of the series at start + i * step; the end has none.
 * 3. Steps without a profile are 0.
 */
import { MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND } from '../units.ts'
import type { SeriesPoint, StepRange } from './time-series.ts'

const POINTS_WANTED = 1_500
const WEEK_MS = 7 * MS_PER_DAY

/** Below the bound on range / 1,500 the step holds. */
const STEPS: readonly (readonly [belowMs: number, stepMs: number])[] = [
  [17.5 * MS_PER_SECOND, 15 * MS_PER_SECOND],
  [25 * MS_PER_SECOND, 20 * MS_PER_SECOND],
  [45 * MS_PER_SECOND, 30 * MS_PER_SECOND],
  [90 * MS_PER_SECOND, MS_PER_MINUTE],
  [3.5 * MS_PER_MINUTE, 2 * MS_PER_MINUTE],
  [7.5 * MS_PER_MINUTE, 5 * MS_PER_MINUTE],
  [12.5 * MS_PER_MINUTE, 10 * MS_PER_MINUTE],
  [17.5 * MS_PER_MINUTE, 15 * MS_PER_MINUTE],
  [25 * MS_PER_MINUTE, 20 * MS_PER_MINUTE],
  [45 * MS_PER_MINUTE, 30 * MS_PER_MINUTE],
  [1.5 * MS_PER_HOUR, MS_PER_HOUR],
  [2.5 * MS_PER_HOUR, 2 * MS_PER_HOUR],
  [4.5 * MS_PER_HOUR, 3 * MS_PER_HOUR],
  [9 * MS_PER_HOUR, 6 * MS_PER_HOUR],
  [MS_PER_DAY, 12 * MS_PER_HOUR],
  [WEEK_MS, MS_PER_DAY],
  [3 * WEEK_MS, WEEK_MS],
  [6 * WEEK_MS, 30 * MS_PER_DAY],
]
const STEP_LONGEST_MS = 365 * MS_PER_DAY

/** Seconds, and whole numbers. */
export interface Timeline {
  readonly startTime: number
  readonly samples: number[]
  readonly durationDelta: number
}

export function timelineRange(startMs: number, endMs: number): StepRange {
  const intervalMs = (endMs - startMs) / POINTS_WANTED
  const stepMs = STEPS.find(([belowMs]) => intervalMs < belowMs)?.[1] ?? STEP_LONGEST_MS
  return { startMs: Math.floor(startMs / stepMs) * stepMs, endMs: Math.floor(endMs / stepMs) * stepMs, stepMs }
}

/** The same steps from the first one on that a range which was cut to `fromMs` shows. */
export function cutTimelineRange(range: StepRange, fromMs: number): StepRange {
  const skipped = Math.max(0, Math.ceil((fromMs - range.startMs) / range.stepMs))
  return { ...range, startMs: range.startMs + skipped * range.stepMs }
}

/** `points` lie on steps of the range. */
export function buildTimeline(range: StepRange, points: readonly SeriesPoint[]): Timeline {
  const samples = Array.from({ length: (range.endMs - range.startMs) / range.stepMs }, () => 0)
  for (const { timestampMs, value } of points) {
    const index = (timestampMs - range.startMs) / range.stepMs
    if (index < samples.length) samples[index] = Math.max(0, Math.trunc(value))
  }
  return { startTime: range.startMs / MS_PER_SECOND, samples, durationDelta: range.stepMs / MS_PER_SECOND }
}
