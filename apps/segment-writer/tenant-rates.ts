/**
 * The ingestion rate of each tenant, in decompressed bytes. The writer counts, because only it inflates; the edge learns
 * of a refusal from the verdict and holds back until `retryAfterMs` has passed.
 */
import { CinderError } from '#core/errors.ts'
import type { TenantLimits } from '#core/limits/limits.ts'
import { type Bucket, fullBucket, takeTokens } from '#core/limits/token-bucket.ts'

/** 10,000 tenants are 1 MB; the one not seen for longest is forgotten, and so starts again with a full bucket. */
const TENANTS_MAX = 10_000

export class TenantRates {
  readonly #limitsOf: (tenant: string) => TenantLimits
  /** In order of last use. */
  readonly #buckets = new Map<string, Bucket>()

  constructor(limitsOf: (tenant: string) => TenantLimits) {
    this.#limitsOf = limitsOf
  }

  /** Throws `resource_exhausted` with `retryAfterMs` if the tenant is over its rate; otherwise counts the bytes. */
  take(tenant: string, bytes: number, nowMs: number): void {
    const { ingestionRateBytes, ingestionBurstBytes } = this.#limitsOf(tenant)
    if (ingestionRateBytes === 0) return
    const limits = { ratePerSecond: ingestionRateBytes, burst: ingestionBurstBytes }
    const result = takeTokens(this.#buckets.get(tenant) ?? fullBucket(limits, nowMs), limits, bytes, nowMs)
    this.#set(tenant, result.bucket)
    if (result.allowed) return
    throw new CinderError(
      'resource_exhausted',
      `push rate limit (ingestionRateBytes: ${ingestionRateBytes} bytes/s, ingestionBurstBytes: ${ingestionBurstBytes}) exceeded while adding ${bytes} bytes`,
      { reason: 'rate_limited', retryAfterMs: result.retryAfterMs },
    )
  }

  /** What was taken was more by so many bytes, or less if negative: the next ones pay, or gain. */
  correct(tenant: string, bytes: number, nowMs: number): void {
    const { ingestionRateBytes, ingestionBurstBytes } = this.#limitsOf(tenant)
    if (ingestionRateBytes === 0 || bytes === 0) return
    const limits = { ratePerSecond: ingestionRateBytes, burst: ingestionBurstBytes }
    const { tokens, updatedMs } = this.#buckets.get(tenant) ?? fullBucket(limits, nowMs)
    this.#set(tenant, { tokens: tokens - bytes, updatedMs })
  }

  #set(tenant: string, bucket: Bucket): void {
    this.#buckets.delete(tenant)
    if (this.#buckets.size >= TENANTS_MAX) this.#buckets.delete(this.#buckets.keys().next().value!)
    this.#buckets.set(tenant, bucket)
  }
}
