/**
 * The memory that request bodies may take in one process, all requests together.
 *
 * 1. A request opens a lease; its body's bytes are taken from the budget before they are held (a stated length at once,
 *    chunks as they come) and given back when the request is answered.
 * 2. A lease ends with its age at the latest: a worker whose client leaves while the writer works is torn down without
 *    running another line, so that nothing would give its bytes back.
 * 3. What does not fit is refused as unavailable, with a time to retry: without it, sixty clients with bodies at the
 *    limit of 256 MiB end the process.
 * Inflated bytes are not counted: they live for one synchronous step, in which each profile in them meets its own limit.
 */
import { CinderError } from '#core/errors.ts'
import { MIB } from '#core/units.ts'

/** Two bodies at the default limit, or ten thousand ordinary ones. */
export const BODY_BUDGET_BYTES_DEFAULT = 512 * MIB

const RETRY_AFTER_MS = 1_000

/** A call to the writer ends after 30 s; the rest is for a slow client to send its body. */
export const LEASE_AGE_MAX_MS = 120_000

const leases = new WeakMap<Request, BodyLease>()

export class BodyBudget {
  readonly maxBytes: number
  readonly #nowMs: () => number
  #heldBytes = 0
  /** That hold bytes, oldest first, and when they began. */
  readonly #holding = new Map<BodyLease, number>()

  constructor(maxBytes: number, nowMs: () => number) {
    this.maxBytes = maxBytes
    this.#nowMs = nowMs
  }

  get heldBytes(): number {
    return this.#heldBytes
  }

  /** The lease of a request; readers of its body find it by the request. */
  open(request: Request): BodyLease {
    const lease = new BodyLease(this)
    leases.set(request, lease)
    return lease
  }

  /** For leases: false if the bytes do not fit. */
  take(lease: BodyLease, bytes: number): boolean {
    const nowMs = this.#nowMs()
    for (const [oldest, sinceMs] of this.#holding) {
      if (nowMs - sinceMs < LEASE_AGE_MAX_MS) break
      oldest.close()
    }
    if (this.#heldBytes + bytes > this.maxBytes) return false
    this.#heldBytes += bytes
    if (!this.#holding.has(lease)) this.#holding.set(lease, nowMs)
    return true
  }

  give(lease: BodyLease, bytes: number): void {
    this.#heldBytes -= bytes
    this.#holding.delete(lease)
  }

  busy(): CinderError {
    return new CinderError(
      'unavailable',
      `request bodies of ${this.#heldBytes} bytes are being handled, ${this.maxBytes} are allowed: try again later`,
      { reason: 'body_budget', retryAfterMs: RETRY_AFTER_MS },
    )
  }
}

export class BodyLease {
  readonly budget: BodyBudget
  #heldBytes = 0

  constructor(budget: BodyBudget) {
    this.budget = budget
  }

  take(bytes: number): boolean {
    if (!this.budget.take(this, bytes)) return false
    this.#heldBytes += bytes
    return true
  }

  /** Gives everything back; a second call changes nothing. */
  close(): void {
    this.budget.give(this, this.#heldBytes)
    this.#heldBytes = 0
  }
}

/** Undefined where nobody opened one: then bodies are bounded one by one only. */
export function leaseOf(request: Request): BodyLease | undefined {
  return leases.get(request)
}
