/**
 * The time of a profile whose agent has no clock, or a wrong one: what is stamped in 1970 was taken when it arrived. What is
 * from the future is refused (validate.ts), or counts as of now where the tenant says so.
 *
 * A profile without a time (0) is not repaired: it never had one.
 */
import type { TenantLimits } from '../limits/limits.ts'
import { MS_PER_DAY, NANOS_PER_MS } from '../units.ts'
import type { IngestPolicy } from './policy.ts'

const END_OF_1970_NANOS = BigInt(365 * MS_PER_DAY) * NANOS_PER_MS

export interface ClockRules {
  readonly nowMs: number
  readonly rejectNewerThanMs: TenantLimits['rejectNewerThanMs']
  readonly clockAhead: IngestPolicy['clockAhead']
}

/** What is stored instead of `timeNanos`; the same if its clock is believed. */
export function repairedTimeNanos(timeNanos: bigint, { nowMs, rejectNewerThanMs, clockAhead }: ClockRules): bigint {
  const nowNanos = BigInt(Math.floor(nowMs)) * NANOS_PER_MS
  if (timeNanos > 0n && timeNanos < END_OF_1970_NANOS) return nowNanos
  const isAhead = rejectNewerThanMs > 0 && timeNanos > nowNanos + BigInt(rejectNewerThanMs) * NANOS_PER_MS
  return isAhead && clockAhead === 'clamp' ? nowNanos : timeNanos
}
