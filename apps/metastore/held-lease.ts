/**
 * A lease as its holder sees it: trusted for less than its time to live, counted from before the request, so that a slow
 * answer cannot make it believe in a term that has run out. A clock that runs backwards measures nothing: the term counts
 * as run out. What it writes carries the term all the same.
 */
import type { Clock } from '#core/ports/clock.ts'
import type { Sql } from '#db/client.ts'
import { acquireLease, releaseLease, type LeaseTerm } from '#db/sql/leases.ts'

export interface HeldLeaseDeps {
  readonly sql: Sql
  readonly clock: Clock
  readonly name: string
  readonly holder: string
  readonly ttlMs: number
}

export class HeldLease {
  readonly #deps: HeldLeaseDeps
  #term: LeaseTerm | undefined
  #trustedUntilMs = 0
  #lastSeenMs = Number.NEGATIVE_INFINITY

  constructor(deps: HeldLeaseDeps) {
    this.#deps = deps
  }

  /** The current term, extended when half of it is over; undefined while another holds the lease. */
  async hold(): Promise<LeaseTerm | undefined> {
    const { sql, clock, name, holder, ttlMs } = this.#deps
    const startedMs = clock.nowMs()
    const isSetBack = startedMs < this.#lastSeenMs
    this.#lastSeenMs = startedMs
    if (this.#term !== undefined && startedMs < this.#trustedUntilMs && !isSetBack) return this.#term
    this.#term = await acquireLease(sql, { name, holder, epoch: this.#term?.epoch, ttlMs })
    // Half: the other half is the margin for the writes that follow and for one missed renewal.
    this.#trustedUntilMs = startedMs + ttlMs / 2
    return this.#term
  }

  async release(): Promise<void> {
    if (this.#term !== undefined) await releaseLease(this.#deps.sql, this.#term)
    this.#term = undefined
  }
}
