/**
 * Ids of one process, whose times do not go back while its clock is set back by minutes: what is begun later has the later
 * id. A rebuild tells by these times what was begun before the death of its tenant, and takes a clock that is a minute slow
 * for right (core/retention/tenant-object.ts): a writer set back by 80 s had what it stored after a deletion taken for dead.
 *
 * A clock set back by more was wrong before: then its new time counts, or ids would be of a future that others reckon from.
 */
import type { Clock } from '../ports/clock.ts'
import type { Random } from '../ports/random.ts'
import { MS_PER_MINUTE } from '../units.ts'
import { makeUlid, ULID_RANDOM_BYTES } from './ulid.ts'

export const SET_BACK_MAX_MS = 5 * MS_PER_MINUTE

export class UlidSource {
  readonly #clock: Pick<Clock, 'nowMs'>
  readonly #random: Random
  #lastMs = 0

  constructor({ clock, random }: { readonly clock: Pick<Clock, 'nowMs'>; readonly random: Random }) {
    this.#clock = clock
    this.#random = random
  }

  next(): string {
    const nowMs = this.#clock.nowMs()
    const isSetBack = nowMs < this.#lastMs && nowMs >= this.#lastMs - SET_BACK_MAX_MS
    if (!isSetBack) this.#lastMs = nowMs
    return makeUlid(this.#lastMs, this.#random.bytes(ULID_RANDOM_BYTES))
  }
}
