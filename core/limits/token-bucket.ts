/**
 * A token bucket: a rate, a burst, and a debt. Pure: the state is a value, the clock an argument.
 *
 * A request passes when the bucket holds its tokens, or when it is full. The second rule lets requests larger than the
 * burst through (a profile may have 4 MiB, the default burst is 2 MiB): they leave a debt that the rate pays off, so the
 * average still is the rate, where a plain bucket would refuse them for ever.
 */
import { MS_PER_SECOND } from '../units.ts'

export interface BucketLimits {
  /** Tokens per second; 0 = no limit. */
  readonly ratePerSecond: number
  /** 0 = one second of the rate. */
  readonly burst: number
}

export interface Bucket {
  /** Below zero while a debt is paid off. */
  readonly tokens: number
  readonly updatedMs: number
}

export type TakeResult =
  | { readonly allowed: true; readonly bucket: Bucket }
  /** `retryAfterMs`: when the same request would pass if nothing else took tokens. */
  | { readonly allowed: false; readonly bucket: Bucket; readonly retryAfterMs: number }

export function fullBucket(limits: BucketLimits, nowMs: number): Bucket {
  return { tokens: burstOf(limits), updatedMs: nowMs }
}

export function takeTokens(bucket: Bucket, limits: BucketLimits, count: number, nowMs: number): TakeResult {
  if (limits.ratePerSecond === 0) return { allowed: true, bucket }
  const refilled = refill(bucket, limits, nowMs)
  const needed = Math.min(count, burstOf(limits))
  if (refilled.tokens >= needed) {
    return { allowed: true, bucket: { tokens: refilled.tokens - count, updatedMs: refilled.updatedMs } }
  }
  const retryAfterMs = Math.ceil(((needed - refilled.tokens) * MS_PER_SECOND) / limits.ratePerSecond)
  return { allowed: false, bucket: refilled, retryAfterMs }
}

/** A clock that was set back adds nothing, and earning goes on from where it stands; limits may change between calls. */
function refill(bucket: Bucket, limits: BucketLimits, nowMs: number): Bucket {
  const elapsedMs = Math.max(0, nowMs - bucket.updatedMs)
  const earned = (elapsedMs * limits.ratePerSecond) / MS_PER_SECOND
  return { tokens: Math.min(burstOf(limits), bucket.tokens + earned), updatedMs: nowMs }
}

function burstOf(limits: BucketLimits): number {
  return limits.burst === 0 ? limits.ratePerSecond : limits.burst
}
