/**
 * How many connections a pool has open at once, over all the clients that it changes for one another (pool.ts). Without this
 * a pool had twice its maximum after a loss, and more after a few in a row: 53300 for everybody where max_connections is tight.
 *
 * 1. What the present client has and what earlier ones have not closed yet is at most `max`.
 * 2. An earlier client opens connections again for statements that waited in it. Those are counted apart, at most a quarter
 *    of `max`: one that hangs in the client (see pool.ts) must take no place from the present one.
 * 3. Who finds no place waits for one, first come first served; a client that is dropped gives all its places back and waits
 *    for none.
 * A connection that is being closed has its place until it is closed on both sides: its process is gone then, or about to be.
 *
 * It must not be used where nobody hears of a close: places would be lost.
 */

export interface Slot {
  /** Of an earlier client: what has nothing more to do is to be closed, others of it may wait. */
  readonly isExtra: boolean
  /** More than once does no harm. */
  release(): void
}

interface Held {
  readonly owner: number
  readonly isExtra: boolean
}

/** At most as many of a client as it may have connections. */
interface Waiting {
  readonly owner: number
  readonly enter: (slot: Slot) => void
  readonly refuse: (error: Error) => void
}

const EXTRA_SHARE = 1 / 4

/** What a pool may have at once. */
export function connectionsAtOnceMax(maxConnections: number): number {
  return maxConnections + Math.ceil(maxConnections * EXTRA_SHARE)
}

export class ConnectionSlots {
  readonly #max: number
  readonly #extraMax: number
  readonly #held = new Set<Held>()
  #waiting: Waiting[] = []
  #present = 0

  constructor(maxConnections: number) {
    this.#max = maxConnections
    this.#extraMax = connectionsAtOnceMax(maxConnections) - maxConnections
  }

  /** From now on every other client is an earlier one. */
  turnTo(owner: number): void {
    this.#present = owner
    this.#admit()
  }

  take(owner: number): Promise<Slot> {
    return new Promise((enter, refuse) => {
      this.#waiting.push({ owner, enter, refuse })
      this.#admit()
    })
  }

  drop(owner: number): void {
    for (const held of this.#held) if (held.owner === owner) this.#held.delete(held)
    const refused = this.#waiting.filter((waiting) => waiting.owner === owner)
    this.#waiting = this.#waiting.filter((waiting) => waiting.owner !== owner)
    const error = Object.assign(new Error('no connection was opened: its client has ended'), {
      code: 'CONNECTION_ENDED',
    })
    for (const { refuse } of refused) refuse(error)
    this.#admit()
  }

  #admit(): void {
    const left: Waiting[] = []
    for (const waiting of this.#waiting) {
      const isExtra = waiting.owner !== this.#present
      if (this.#count(isExtra) >= (isExtra ? this.#extraMax : this.#max)) {
        left.push(waiting)
        continue
      }
      const held: Held = { owner: waiting.owner, isExtra }
      this.#held.add(held)
      waiting.enter({
        isExtra,
        release: () => {
          if (this.#held.delete(held)) this.#admit()
        },
      })
    }
    this.#waiting = left
  }

  #count(isExtra: boolean): number {
    let count = 0
    for (const held of this.#held) if (held.isExtra === isExtra) count++
    return count
  }
}
