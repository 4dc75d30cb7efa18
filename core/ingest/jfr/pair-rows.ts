/**
 * Pairs of 32-bit numbers as rows, each once: locations (function and line), samples (stack and context). Values of row i
 * are values[2 i] and values[2 i + 1].
 *
 * A pair that is known costs one step of a hash and one look; as a tuple of any length (tuple-rows.ts) it took twice that.
 */
import { GrowingUint32 } from '../../wire/growing.ts'
import { mix32 } from '../../wire/hash.ts'
import { tableSeed, tableStep } from '../../wire/table-hash.ts'

export class PairRows {
  count = 0
  /** Slots that insertions have passed over: a few a row, whatever the keys are. */
  probes = 0
  readonly #seed = tableSeed()
  readonly values = new GrowingUint32(256)
  /** Open hash of row + 1, at most half full. */
  #slots = new Uint32Array(256)

  begin(): void {
    this.count = 0
    this.values.count = 0
    this.#slots.fill(0)
  }

  get sizeBytes(): number {
    return this.values.array.byteLength + this.#slots.byteLength
  }

  rowOfPair(a: number, b: number): number {
    const values = this.values.array
    const slots = this.#slots
    const mask = slots.length - 1
    const first = hashOf(this.#seed, a, b) & mask
    let slot = first
    for (let entry = slots[slot]!; entry !== 0; entry = slots[slot]!) {
      const at = 2 * entry - 2
      if (values[at] === a && values[at + 1] === b) return entry - 1
      slot = (slot + 1) & mask
    }
    this.probes += (slot - first) & mask
    this.values.push(a)
    this.values.push(b)
    slots[slot] = ++this.count
    if (this.count * 2 > slots.length) this.#rehash()
    return this.count - 1
  }

  #rehash(): void {
    const values = this.values.array
    const slots = new Uint32Array(this.#slots.length * 2)
    const mask = slots.length - 1
    for (let row = 0; row < this.count; row++) {
      let slot = hashOf(this.#seed, values[2 * row]!, values[2 * row + 1]!) & mask
      while (slots[slot] !== 0) slot = (slot + 1) & mask
      slots[slot] = row + 1
    }
    this.#slots = slots
  }
}

function hashOf(seed: number, a: number, b: number): number {
  return mix32(tableStep(tableStep(seed, a), b))
}
