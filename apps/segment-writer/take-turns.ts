/**
 * One long request at a time. Requests that take longer than a slice of the loop would else share it: sixty-four of a second
 * each would all end after a minute, past every deadline, with all of their profiles held meanwhile, and none would be stored.
 *
 * 1. A request that has used up its first slice asks for the turn. Short ones never do, and pass between the slices of the long.
 * 2. The turn goes to the tenants one after another, within a tenant in order of arrival.
 * 3. Who has not got it in time gives up, before anything more is done for it. What it left is retried by its client.
 *
 * How many wait is bounded by what bodies of requests may hold.
 */
import type { Clock } from '#core/ports/clock.ts'

interface Waiting {
  readonly grant: () => void
}

export class TakeTurns {
  readonly #clock: Clock
  /** In order of their turns; none is empty. */
  readonly #tenants = new Map<string, Set<Waiting>>()
  #isHeld = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** True: the turn is the caller's until it is released. False: `patienceMs` have passed. */
  async wait(tenant: string, patienceMs: number): Promise<boolean> {
    if (!this.#isHeld) {
      this.#isHeld = true
      return true
    }
    if (patienceMs <= 0) return false
    const granted = Promise.withResolvers<boolean>()
    const over = new AbortController()
    const waiting = { grant: () => granted.resolve(true) }
    const queue = this.#tenants.get(tenant) ?? new Set()
    this.#tenants.set(tenant, queue.add(waiting))
    void this.#clock.sleep(patienceMs, over.signal).then(() => {
      if (over.signal.aborted || !queue.delete(waiting)) return
      if (queue.size === 0 && this.#tenants.get(tenant) === queue) this.#tenants.delete(tenant)
      granted.resolve(false)
    })
    const isGranted = await granted.promise
    over.abort()
    return isGranted
  }

  release(): void {
    const [first] = this.#tenants
    if (first === undefined) {
      this.#isHeld = false
      return
    }
    const [tenant, queue] = first
    const [next] = queue
    queue.delete(next!)
    // Its others come after those of all other tenants.
    this.#tenants.delete(tenant)
    if (queue.size > 0) this.#tenants.set(tenant, queue)
    next!.grant()
  }
}
