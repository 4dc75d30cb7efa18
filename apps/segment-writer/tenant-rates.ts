/**
 * The ingestion rate of each tenant, in decompressed bytes. The writer counts, because only it inflates; the edge learns
 * of a refusal from the verdict and holds back until `retryAfterMs` has passed.
 *
 * The limit is the tenant's over all writers. With every renewal of its registration a writer tells what arrives for its
 * tenants (`readDemands`), hears what the others get (`adopt`), and may then take its share (core/limits/rate-share.ts).
 * Without an answer the last shares stay; one that never heard of others has the whole limit. Bursts are divided alike.
 */
import { CinderError } from '#core/errors.ts'
import type { TenantLimits } from '#core/limits/limits.ts'
import { foldDemand, RATE_SHARE_REASON, shareOfLimit, tellDemands } from '#core/limits/rate-share.ts'
import { type Bucket, fullBucket, takeTokens } from '#core/limits/token-bucket.ts'
import { WRITER_LEASE_MS_DEFAULT } from '#core/placement/rate-meter.ts'
import type { OtherWritersLoad, TenantLoad } from '#core/rpc/placement.ts'

/** Renewals are as far apart. */
const SHARE_RETRY_MS = WRITER_LEASE_MS_DEFAULT / 3
/** 10,000 tenants are 2 MB; the one not seen for longest is forgotten, and so starts again with a full bucket. */
const TENANTS_MAX = 10_000

interface TenantRate {
  bucket: Bucket
  /** Since demands were read last, refused ones included. */
  arrivedBytes: number
  wasRefused: boolean
  /** What arrives. */
  bytesPerSecond: number
  /** As told last, in units of the limit; 0 = not told. */
  toldLoad: number
  /** Of the limit. */
  share: number
  /** What others get, in units of the limit. */
  othersLoad: number
}

export class TenantRates {
  readonly #limitsOf: (tenant: string) => TenantLimits
  /** In order of last use. */
  readonly #tenants = new Map<string, TenantRate>()
  #readMs: number | undefined

  constructor(limitsOf: (tenant: string) => TenantLimits) {
    this.#limitsOf = limitsOf
  }

  /** Throws `resource_exhausted` with `retryAfterMs` if the tenant is over its rate; otherwise counts the bytes. */
  take(tenant: string, bytes: number, nowMs: number): void {
    const { ingestionRateBytes, ingestionBurstBytes } = this.#limitsOf(tenant)
    if (ingestionRateBytes === 0) return
    const rate = this.#rateOf(tenant, nowMs)
    const result = takeTokens(rate.bucket, bucketLimits(rate, ingestionRateBytes, ingestionBurstBytes), bytes, nowMs)
    rate.bucket = result.bucket
    rate.arrivedBytes += bytes
    if (result.allowed) return
    rate.wasRefused = true
    const limit = `ingestionRateBytes: ${ingestionRateBytes} bytes/s, ingestionBurstBytes: ${ingestionBurstBytes}`
    const message = `push rate limit (${limit}) exceeded while adding ${bytes} bytes`
    throw new CinderError('resource_exhausted', message + describeShare(rate, ingestionRateBytes), {
      reason: rate.share < 1 && rate.toldLoad + rate.othersLoad < 1 ? RATE_SHARE_REASON : 'rate_limited',
      // A share changes with the next renewal.
      retryAfterMs: rate.share < 1 ? Math.min(result.retryAfterMs, SHARE_RETRY_MS) : result.retryAfterMs,
    })
  }

  /** What was taken was more by so many bytes, or less if negative: the next ones pay, or gain. */
  correct(tenant: string, bytes: number, nowMs: number): void {
    if (this.#limitsOf(tenant).ingestionRateBytes === 0 || bytes === 0) return
    const rate = this.#rateOf(tenant, nowMs)
    const { tokens, updatedMs } = rate.bucket
    rate.bucket = { tokens: tokens - bytes, updatedMs }
    rate.arrivedBytes = Math.max(0, rate.arrivedBytes + bytes)
  }

  /** What arrives for the tenants of which others should know. */
  readDemands(nowMs: number): TenantLoad[] {
    const elapsedMs = nowMs - (this.#readMs ?? nowMs)
    this.#readMs = nowMs
    const demands: TenantLoad[] = []
    for (const [tenant, rate] of this.#tenants) {
      const { ingestionRateBytes } = this.#limitsOf(tenant)
      rate.toldLoad = 0
      if (ingestionRateBytes === 0) continue
      if (elapsedMs > 0) foldRate(rate, elapsedMs, ingestionRateBytes)
      demands.push({ tenant, load: rate.bytesPerSecond / ingestionRateBytes })
    }
    const told = tellDemands(demands)
    for (const { tenant, load } of told) this.#tenants.get(tenant)!.toldLoad = load
    return told
  }

  /** `others`: of those that were told last. Undefined: nobody knows, and what was known stays. */
  adopt(others: readonly OtherWritersLoad[] | undefined): void {
    if (others === undefined) return
    const byTenant = new Map(others.map((other) => [other.tenant, other]))
    for (const [tenant, rate] of this.#tenants) {
      const other = byTenant.get(tenant)
      rate.othersLoad = rate.toldLoad > 0 ? (other?.load ?? 0) : 0
      rate.share = shareOfLimit({ own: rate.toldLoad, others: rate.othersLoad, writers: other?.writers ?? 1 })
    }
  }

  #rateOf(tenant: string, nowMs: number): TenantRate {
    let rate = this.#tenants.get(tenant)
    if (rate !== undefined) this.#tenants.delete(tenant)
    else {
      const { ingestionRateBytes, ingestionBurstBytes } = this.#limitsOf(tenant)
      const bucket = fullBucket({ ratePerSecond: ingestionRateBytes, burst: ingestionBurstBytes }, nowMs)
      rate = { bucket, arrivedBytes: 0, wasRefused: false, bytesPerSecond: 0, toldLoad: 0, share: 1, othersLoad: 0 }
      if (this.#tenants.size >= TENANTS_MAX) this.#tenants.delete(this.#tenants.keys().next().value!)
    }
    this.#tenants.set(tenant, rate)
    return rate
  }
}

function bucketLimits({ share }: TenantRate, rateBytes: number, burstBytes: number) {
  return { ratePerSecond: rateBytes * share, burst: burstBytes * share }
}

function foldRate(rate: TenantRate, elapsedMs: number, limitBytes: number): void {
  const { bytesPerSecond, arrivedBytes, wasRefused, share } = rate
  const refusedAtBytesPerSecond = wasRefused ? share * limitBytes : undefined
  rate.bytesPerSecond = foldDemand({ bytesPerSecond, arrivedBytes, elapsedMs, refusedAtBytesPerSecond })
  rate.arrivedBytes = 0
  rate.wasRefused = false
}

function describeShare({ share, othersLoad, toldLoad }: TenantRate, limitBytes: number): string {
  if (share >= 1) return ''
  const [shareBytes, allBytes] = [share * limitBytes, (toldLoad + othersLoad) * limitBytes].map(Math.round)
  return `: this writer's share is ${shareBytes} bytes/s, the tenant sends ${allBytes} bytes/s to all writers`
}
