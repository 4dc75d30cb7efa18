/**
 * In what order the jobs of one tenant and level are worked on: policies as data.
 *
 * A job's rank is the time it was planned plus a delay that its order gives it; the smallest rank goes first. Of jobs
 * planned together the order decides alone; one planned earlier is overtaken by later ones only within its delay, so that
 * none waits for ever. First compaction is always by size: what was just written comes first in every order.
 */
import { MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND } from '../units.ts'
import { FIRST_LEVEL } from './policy.ts'

export const JOB_ORDERS = ['small-job-first', 'smallest-range-oldest-blocks-first', 'newest-blocks-first'] as const
export type JobOrder = (typeof JOB_ORDERS)[number]

/** What an order looks at. */
export interface OrderedJob {
  /** Of the output. */
  readonly level: number
  readonly sizeBytes: number
  /** Data hour or wider window of the output; of first compaction any. */
  readonly windowStartMs: number
  readonly windowMs: number
}

/** A minute of range delays by a second: 24 h yield to smaller ranges for 24 minutes. */
const RANGE_PER_SECOND_MS = MS_PER_MINUTE
/** Far below the second of a minute's range for any two windows of a century: age decides between equal ranges alone. */
const AGE_PER_SECOND_MS = 365 * MS_PER_DAY * 3
/** An old block yields to newer ones for an hour at most. */
const NEWEST_DELAY_MAX_MS = MS_PER_HOUR
/** Blocks of a month have half of it. */
const NEWEST_HALF_MS = 30 * MS_PER_DAY

/** How long others may overtake the job. */
export function orderDelaySeconds(
  job: OrderedJob,
  policy: { readonly order: JobOrder; readonly ageingBytesPerSecond: number },
  nowMs: number,
): number {
  if (job.level <= FIRST_LEVEL) return job.sizeBytes / policy.ageingBytesPerSecond
  switch (policy.order) {
    case 'small-job-first':
      return job.sizeBytes / policy.ageingBytesPerSecond
    case 'smallest-range-oldest-blocks-first':
      return job.windowMs / RANGE_PER_SECOND_MS + Math.max(0, job.windowStartMs) / AGE_PER_SECOND_MS
    case 'newest-blocks-first': {
      const ageMs = Math.max(0, nowMs - (job.windowStartMs + job.windowMs))
      const delayMs = (NEWEST_DELAY_MAX_MS * ageMs) / (ageMs + NEWEST_HALF_MS)
      // Of windows with one end the shorter: a day is 86 us of delay.
      return delayMs / MS_PER_SECOND + job.windowMs / MS_PER_SECOND / 1e9
    }
  }
}
