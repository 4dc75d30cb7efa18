/**
 * Strings of a recording as UTF-8 in one buffer, each once: names of functions, of labels and of sample types. Row 0 is
 * the empty string, as a profile has it.
 *
 * Bytes are appended first and become a string, or go again because it is known already (`take`). The buffer has a bound:
 * ten thousand methods may name one class of 64 KiB.
 */
import { isValidUtf8 } from '../../pprof/utf8.ts'
import { GrowingUint32, GrowingUint8 } from '../../wire/growing.ts'
import { tableBytes, tableSeed } from '../../wire/table-hash.ts'

export class StringRows {
  /** Slots that insertions have passed over: a few a row, whatever the keys are. */
  probes = 0
  readonly #seed = tableSeed()
  readonly raw = new GrowingUint8(4_096)
  readonly start = new GrowingUint32(256)
  readonly length = new GrowingUint32(256)
  readonly #hash = new GrowingUint32(256)
  /** Open hash of row + 1, at most half full. */
  #slots = new Uint32Array(512)

  begin(): void {
    for (const column of [this.raw, this.start, this.length, this.#hash]) column.count = 0
    this.#slots.fill(0)
    this.take(0)
  }

  get sizeBytes(): number {
    return this.raw.array.byteLength + this.#slots.byteLength + 3 * this.start.array.byteLength
  }

  /** The row of what was appended from `start` on. */
  take(start: number): number {
    const { array, count } = this.raw
    if (!isValidUtf8(array, start, count)) this.#replaceInvalid(start)
    const length = this.raw.count - start
    const hash = tableBytes(this.#seed, this.raw.array, start, start + length)
    const mask = this.#slots.length - 1
    let slot = hash & mask
    for (;;) {
      const entry = this.#slots[slot]!
      if (entry === 0) break
      if (this.#hash.array[entry - 1] === hash && this.#equals(entry - 1, start, length)) {
        this.raw.count = start
        return entry - 1
      }
      slot = (slot + 1) & mask
    }
    const row = this.start.count
    this.start.push(start)
    this.length.push(length)
    this.#hash.push(hash)
    this.probes += (slot - hash) & mask
    this.#slots[slot] = row + 1
    if (this.start.count * 2 > this.#slots.length) this.#rehash()
    return row
  }

  rowOf(text: string): number {
    const start = this.raw.count
    const bytes = encoder.encode(text)
    this.raw.append(bytes, 0, bytes.length)
    return this.take(start)
  }

  /** A JVM writes what lies beyond 16 bits as two surrogates, and zero as two bytes: neither is UTF-8. */
  #replaceInvalid(start: number): void {
    const bytes = encoder.encode(decoder.decode(this.raw.array.subarray(start, this.raw.count)))
    this.raw.count = start
    this.raw.append(bytes, 0, bytes.length)
  }

  #equals(row: number, start: number, length: number): boolean {
    if (this.length.array[row] !== length) return false
    const bytes = this.raw.array
    const other = this.start.array[row]!
    for (let i = 0; i < length; i++) if (bytes[start + i] !== bytes[other + i]) return false
    return true
  }

  #rehash(): void {
    this.#slots = new Uint32Array(this.#slots.length * 2)
    const mask = this.#slots.length - 1
    for (let row = 0; row < this.start.count; row++) {
      let slot = this.#hash.array[row]! & mask
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask
      this.#slots[slot] = row + 1
    }
  }
}

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
