/**
 * Tenants that are over their rate, remembered at the edge until they may try again. The writer counts the bytes; this
 * keeps a tenant that is over its rate from sending every further body across the network only to be refused.
 *
 * It must not refuse longer than the writer said: an entry ends at its time, and a full table forgets the oldest.
 */
import { CinderError } from '#core/errors.ts'
import { RATE_SHARE_REASON } from '#core/limits/rate-share.ts'

/** 10,000 entries of about 100 bytes each: 1 MB. A forgotten tenant is refused by the writer as before. */
export const TENANTS_MAX = 10_000
/** A writer that asks for more is not believed: its clock or its bucket is wrong. */
const BACKOFF_MAX_MS = 60_000

interface Entry {
  readonly untilMs: number
  readonly message: string
  readonly reason: string
}

export class TenantBackoff {
  readonly #entries = new Map<string, Entry>()
  readonly #tenantsMax: number

  constructor(tenantsMax = TENANTS_MAX) {
    this.#tenantsMax = tenantsMax
  }

  /** Notes a refusal, if it is one that holds for the whole tenant, and not for what it sends to one writer. */
  note(tenant: string, error: CinderError, nowMs: number): void {
    if (error.kind !== 'resource_exhausted' || error.retryAfterMs === undefined) return
    if (error.reason === RATE_SHARE_REASON) return
    const untilMs = nowMs + Math.min(error.retryAfterMs, BACKOFF_MAX_MS)
    this.#entries.delete(tenant)
    if (this.#entries.size >= this.#tenantsMax) {
      const oldest = this.#entries.keys().next()
      if (oldest.done !== true) this.#entries.delete(oldest.value)
    }
    this.#entries.set(tenant, { untilMs, message: error.message, reason: error.reason })
  }

  /** The refusal that still holds for a tenant. */
  refusal(tenant: string, nowMs: number): CinderError | undefined {
    const entry = this.#entries.get(tenant)
    if (entry === undefined) return undefined
    // Further ahead than any refusal reaches: the clock was set back since.
    if (nowMs >= entry.untilMs || entry.untilMs - nowMs > BACKOFF_MAX_MS) {
      this.#entries.delete(tenant)
      return undefined
    }
    const retryAfterMs = entry.untilMs - nowMs
    return new CinderError('resource_exhausted', entry.message, { reason: entry.reason, retryAfterMs })
  }
}
