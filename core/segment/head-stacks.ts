/**
 * The stacks of one head, numbered in order of first use: an open hash from the dictionary's id to the head's.
 *
 * A hash and not a column over the dictionary: its size follows what the head uses, 6 ns a sample, and the ids of
 * samples stay dense however much the dictionary holds.
 */
import { GrowingUint32 } from '../wire/growing.ts'
import { mix32 } from '../wire/hash.ts'
import { tableSeed, tableStep } from '../wire/table-hash.ts'

const SLOTS_FIRST = 64

export class HeadStacks {
  /** Dictionary's id of stack i of the head. */
  readonly known = new GrowingUint32(SLOTS_FIRST / 2)
  /** The head's id + 1; 0 = free. At most half full. */
  readonly #seed = tableSeed()
  #slots = new Uint32Array(SLOTS_FIRST)

  idOf(known: number): number {
    const ids = this.known.array
    const mask = this.#slots.length - 1
    let slot = mix32(tableStep(this.#seed, known)) & mask
    for (;;) {
      const entry = this.#slots[slot]!
      if (entry === 0) break
      if (ids[entry - 1] === known) return entry - 1
      slot = (slot + 1) & mask
    }
    const id = this.known.count
    this.known.push(known)
    this.#slots[slot] = id + 1
    if (this.known.count * 2 > this.#slots.length) this.#rehash()
    return id
  }

  #rehash(): void {
    const slots = new Uint32Array(this.#slots.length * 2)
    const mask = slots.length - 1
    for (let id = 0; id < this.known.count; id++) {
      let slot = mix32(tableStep(this.#seed, this.known.array[id]!)) & mask
      while (slots[slot] !== 0) slot = (slot + 1) & mask
      slots[slot] = id + 1
    }
    this.#slots = slots
  }
}
