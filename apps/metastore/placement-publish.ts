/**
 * Passes of placement at once, for who was just told something: it takes the duty's lease for one pass and gives it back.
 * Where the lease is held a pass runs, which may have read before what was told, so it is tried again. It waits for little,
 * and never fails: the duty is due at once in any case.
 */
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import { MS_PER_SECOND } from '#core/units.ts'
import type { Sql } from '#db/client.ts'
import { acquireLease, releaseLease } from '#db/sql/leases.ts'
import { PLACEMENT_DUTY } from '#db/sql/register-writer.ts'
import type { PlacementPass } from './placement-pass.ts'

export interface PublisherDeps {
  readonly sql: Sql
  readonly clock: Clock
  readonly log: Log
  readonly holder: string
}

/** A writer that stops has five seconds for everything, and gives this call 400 ms. */
const PUBLISH_WAIT_MS = 250
/** A pass takes some 10 ms. */
const RETRY_MS = 25
const ATTEMPTS_MAX = 40
const LEASE_TTL_MS = 5 * MS_PER_SECOND

export class Publisher {
  readonly #deps: PublisherDeps
  readonly #pass: PlacementPass
  #running: Promise<number | undefined> | undefined
  /** Begins after the one that runs; whoever comes meanwhile shares it. */
  #next: Promise<number | undefined> | undefined

  constructor(deps: PublisherDeps, pass: PlacementPass) {
    this.#deps = deps
    this.#pass = pass
  }

  /** The generation that has what was told; undefined: not known yet. */
  async publish(writerId: string): Promise<number | undefined> {
    const { clock } = this.#deps
    const waited = new AbortController()
    const late = clock.sleep(PUBLISH_WAIT_MS, waited.signal).then(() => undefined)
    const generation = await Promise.race([this.#share(writerId), late])
    waited.abort()
    return generation
  }

  #share(writerId: string): Promise<number | undefined> {
    if (this.#running === undefined) return this.#begin(writerId)
    this.#next ??= this.#running.then(() => this.#begin(writerId))
    return this.#next
  }

  #begin(writerId: string): Promise<number | undefined> {
    this.#next = undefined
    const running = this.#attempt(writerId).finally(() => {
      if (this.#running === running) this.#running = undefined
    })
    this.#running = running
    return running
  }

  async #attempt(writerId: string): Promise<number | undefined> {
    const { sql, clock, log, holder } = this.#deps
    try {
      for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        const term = await acquireLease(sql, { name: PLACEMENT_DUTY, holder, epoch: undefined, ttlMs: LEASE_TTL_MS })
        if (term !== undefined) {
          try {
            return await this.#pass.run(term, 'writers')
          } finally {
            await releaseLease(sql, term)
          }
        }
        await clock.sleep(RETRY_MS)
      }
    } catch (error) {
      log.warn('a writer is not in the table yet', { writerId, error })
    }
    return undefined
  }
}
