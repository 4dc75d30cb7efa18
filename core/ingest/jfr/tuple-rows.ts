/**
 * Tuples of 32-bit numbers as rows, each once: stacks (any number of locations), contexts of
 * samples. Values of row i lie in [start[i], start[i + 1]).
 *
 * `values` is written behind the last row, and `take` makes a row of it or finds the one that has it.
 */
import { GrowingUint32 } from '../../wire/growing.ts'
import { tableSeed, tableWords } from '../../wire/table-hash.ts'

export class TupleRows {
  /** Slots that insertions have passed over: a few a row, whatever the keys are. */
  probes = 0
  readonly #seed = tableSeed()
  readonly values = new GrowingUint32(256)
  readonly start = new GrowingUint32(64)
  readonly #hash = new GrowingUint32(64)
  /** Open hash of row + 1, at most half full. */
  #slots = new Uint32Array(128)

  begin(): void {
    for (const column of [this.values, this.start, this.#hash]) column.count = 0
    this.#slots.fill(0)
    this.start.push(0)
  }

  get count(): number {
    return this.#hash.count
  }

  get sizeBytes(): number {
    return this.values.array.byteLength + 2 * this.start.array.byteLength + this.#slots.byteLength
  }

  /** The row of the values from the last row's end up to `values.count`. */
  take(): number {
    const { array, count } = this.values
    const start = this.start.array[this.count]!
    const hash = tableWords(this.#seed, array, start, count)
    const mask = this.#slots.length - 1
    let slot = hash & mask
    for (;;) {
      const entry = this.#slots[slot]!
      if (entry === 0) break
      if (this.#hash.array[entry - 1] === hash && this.#equals(entry - 1, start, count)) {
        this.values.count = start
        return entry - 1
      }
      slot = (slot + 1) & mask
    }
    const row = this.count
    this.#hash.push(hash)
    this.start.push(count)
    this.probes += (slot - hash) & mask
    this.#slots[slot] = row + 1
    if (this.count * 2 > this.#slots.length) this.#rehash()
    return row
  }

  #equals(row: number, start: number, end: number): boolean {
    const { array } = this.values
    const other = this.start.array[row]!
    if (this.start.array[row + 1]! - other !== end - start) return false
    for (let i = start; i < end; i++) if (array[i] !== array[other + i - start]) return false
    return true
  }

  #rehash(): void {
    this.#slots = new Uint32Array(this.#slots.length * 2)
    const mask = this.#slots.length - 1
    for (let row = 0; row < this.count; row++) {
      let slot = this.#hash.array[row]! & mask
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask
      this.#slots[slot] = row + 1
    }
  }
}
