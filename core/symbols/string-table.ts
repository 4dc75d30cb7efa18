/**
 * Interned byte strings: an arena, offsets, and an open hash from content to id. Id 0 is the empty string.
 * No JavaScript string is made; equality is by bytes, the 32-bit hash is compared first.
 */
import { GrowingUint32, GrowingUint8 } from '../wire/growing.ts'
import { tableBytes, tableSeed } from '../wire/table-hash.ts'

export class StringTable {
  /** Slots that insertions have passed over: a few a row, whatever the keys are. */
  probes = 0
  readonly #seed = tableSeed()
  readonly #bytes = new GrowingUint8(512)
  readonly #offset = new GrowingUint32(32)
  readonly #hash = new GrowingUint32(32)
  /** Open addressing, id + 1, 0 = free; rebuilt at half load. */
  #slots = new Uint32Array(64)

  constructor() {
    this.#offset.push(0)
    this.intern(new Uint8Array(0), 0, 0)
  }

  get count(): number {
    return this.#hash.count
  }

  get byteCount(): number {
    return this.#bytes.count
  }

  intern(bytes: Uint8Array, start: number, end: number): number {
    const hash = tableBytes(this.#seed, bytes, start, end)
    const mask = this.#slots.length - 1
    let slot = hash & mask
    for (;;) {
      const entry = this.#slots[slot]!
      if (entry === 0) break
      if (this.#hash.array[entry - 1] === hash && this.#equals(entry - 1, bytes, start, end)) return entry - 1
      slot = (slot + 1) & mask
    }
    const id = this.#hash.count
    this.#bytes.append(bytes, start, end)
    this.#offset.push(this.#bytes.count)
    this.#hash.push(hash)
    this.probes += (slot - hash) & mask
    this.#slots[slot] = id + 1
    if (id * 2 > this.#slots.length) this.#rehash()
    return id
  }

  /** Borrowed: valid until the next intern. */
  viewBytes(id: number): Uint8Array {
    return this.#bytes.array.subarray(this.#offset.array[id]!, this.#offset.array[id + 1]!)
  }

  copyColumns(): { stringCount: number; stringOffset: Uint32Array; stringBytes: Uint8Array } {
    return { stringCount: this.count, stringOffset: this.#offset.copy(), stringBytes: this.#bytes.copy() }
  }

  /** Borrowed, and may be longer than the count says: valid until the next intern. */
  viewColumns(): { stringCount: number; stringOffset: Uint32Array; stringBytes: Uint8Array } {
    return { stringCount: this.count, stringOffset: this.#offset.array, stringBytes: this.#bytes.array }
  }

  get sizeBytes(): number {
    const columns = [this.#bytes.array, this.#offset.array, this.#hash.array, this.#slots]
    return columns.reduce((sum, { byteLength }) => sum + byteLength, 0)
  }

  #equals(id: number, bytes: Uint8Array, start: number, end: number): boolean {
    const from = this.#offset.array[id]!
    const length = end - start
    if (this.#offset.array[id + 1]! - from !== length) return false
    const arena = this.#bytes.array
    for (let i = 0; i < length; i++) if (arena[from + i] !== bytes[start + i]) return false
    return true
  }

  #rehash(): void {
    const slots = new Uint32Array(this.#slots.length * 2)
    const mask = slots.length - 1
    for (let id = 0; id < this.#hash.count; id++) {
      let slot = this.#hash.array[id]! & mask
      while (slots[slot] !== 0) slot = (slot + 1) & mask
      slots[slot] = id + 1
    }
    this.#slots = slots
  }
}
