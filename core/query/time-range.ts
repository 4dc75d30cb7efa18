/**
 * The range rules that every read shares, as one pure function.
 *
 * 1. Start and end are milliseconds, both required; 0 is "missing". Where a default window is given, both missing means
 *    the window that ends now.
 * 2. Start after end is the client's fault; start equal to end is one instant (ranges include both ends).
 * 3. The start is clamped to now - lookback; a range wholly before that is empty, which is a success.
 * 4. What remains must not be longer than the maximum.
 */
import { invalidArgument } from '../errors.ts'
import { MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND } from '../units.ts'

export interface TimeRangeRequest {
  readonly startMs: number
  readonly endMs: number
}

export interface TimeRangeLimits {
  /** `max_query_lookback`; 0 = no limit. */
  readonly maxLookbackMs: number
  /** `max_query_length`; 0 = no limit. */
  readonly maxLengthMs: number
}

export interface TimeRangeContext {
  readonly nowMs: number
  readonly limits: TimeRangeLimits
  /** Window to use when start and end are both missing; undefined: missing is a fault. */
  readonly defaultWindowMs?: number
}

export type TimeRange =
  | { readonly kind: 'range'; readonly startMs: number; readonly endMs: number }
  | { readonly kind: 'empty' }

/** Fails with `invalid_argument`. */
export function resolveTimeRange(request: TimeRangeRequest, context: TimeRangeContext): TimeRange {
  const { nowMs, limits, defaultWindowMs } = context
  let { startMs, endMs } = request
  if (startMs === 0 && endMs === 0 && defaultWindowMs !== undefined) {
    startMs = nowMs - defaultWindowMs
    endMs = nowMs
  }
  if (startMs === 0 || endMs === 0) throw invalidArgument('missing time range in the query', 'missing_time_range')
  if (startMs > endMs) throw invalidArgument('query start time is after end time', 'invalid_time_range')
  if (limits.maxLookbackMs > 0) {
    const oldestMs = nowMs - limits.maxLookbackMs
    if (endMs < oldestMs) return { kind: 'empty' }
    startMs = Math.max(startMs, oldestMs)
  }
  const lengthMs = endMs - startMs
  if (limits.maxLengthMs > 0 && lengthMs > limits.maxLengthMs) {
    throw invalidArgument(
      `the query time range exceeds the limit (max_query_length, actual: ${formatDuration(lengthMs)}, limit: ${formatDuration(limits.maxLengthMs)})`,
      'max_query_length',
    )
  }
  return { kind: 'range', startMs, endMs }
}

/** The limits of a query over several tenants: the smallest that is set. */
export function combineTimeRangeLimits(limits: readonly TimeRangeLimits[]): TimeRangeLimits {
  return {
    maxLookbackMs: smallestPositive(limits.map((each) => each.maxLookbackMs)),
    maxLengthMs: smallestPositive(limits.map((each) => each.maxLengthMs)),
  }
}

/** The smallest value above 0; 0 (no limit) if there is none. Other limits of several tenants combine the same way. */
export function smallestPositive(values: readonly number[]): number {
  let smallest = 0
  for (const value of values) if (value > 0 && (smallest === 0 || value < smallest)) smallest = value
  return smallest
}

/** `1d2h3m4.005s`: units in descending order, zero ones left out. */
export function formatDuration(durationMs: number): string {
  if (durationMs === 0) return '0s'
  const units = [
    ['d', MS_PER_DAY],
    ['h', MS_PER_HOUR],
    ['m', MS_PER_MINUTE],
  ] as const
  let text = ''
  let restMs = durationMs
  for (const [unit, unitMs] of units) {
    const count = Math.floor(restMs / unitMs)
    if (count > 0) text += `${count}${unit}`
    restMs -= count * unitMs
  }
  return restMs > 0 ? `${text}${restMs / MS_PER_SECOND}s` : text
}
