/**
 * The strings of a merge, each once. As `StringTable`, for reading whole tables of strings that resemble each other:
 *
 * 1. The string after the one found last is tried first: sources of one service list much the same names in much the
 *    same order, and then no hash is computed.
 * 2. Else an open hash on two lanes of words. Words are read through a `DataView`, four bytes at any offset.
 * Equality is by bytes, always.
 */
import { GrowingUint32 } from '../wire/growing.ts'
import { mix32 } from '../wire/hash.ts'
import { secondState, tableSeed, tableStep } from '../wire/table-hash.ts'

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function hashText(seed: number, view: DataView, start: number, end: number): number {
  let a = seed ^ Math.imul(end - start, 0x9e3779b1)
  let b = secondState(seed)
  let i = start
  for (const pairEnd = end - 7; i < pairEnd; i += 8) {
    a = tableStep(a, view.getInt32(i, true))
    b = tableStep(b, view.getInt32(i + 4, true))
  }
  for (; i < end; i++) a = tableStep(a, view.getUint8(i))
  return mix32(tableStep(b, a))
}

export class TextTable {
  /** Slots that insertions have passed over: a few a row, whatever the keys are. */
  probes = 0
  readonly #seed = tableSeed()
  #bytes: Uint8Array
  #view: DataView
  readonly #offset: GrowingUint32
  readonly #hash: GrowingUint32
  /** Id + 1, 0 = free; rebuilt at half load. */
  #slots: Uint32Array
  #last = 0

  /** String 0 is empty. */
  constructor(strings: number, textBytes: number) {
    const capacity = 2 ** Math.ceil(Math.log2(Math.max(16, strings)))
    this.#bytes = new Uint8Array(Math.max(64, textBytes))
    this.#view = viewOf(this.#bytes)
    this.#offset = new GrowingUint32(capacity + 1)
    this.#hash = new GrowingUint32(capacity)
    this.#slots = new Uint32Array(capacity * 2)
    this.#offset.push(0)
    this.intern(viewOf(new Uint8Array(0)), 0, 0)
  }

  get sizeBytes(): number {
    return this.#bytes.length + this.#offset.array.byteLength + this.#hash.array.byteLength + this.#slots.byteLength
  }

  intern(view: DataView, start: number, end: number): number {
    const guess = this.#last + 1
    if (guess < this.#hash.count && this.#equals(guess, view, start, end)) return (this.#last = guess)
    return (this.#last = this.#find(view, start, end))
  }

  #find(view: DataView, start: number, end: number): number {
    const hash = hashText(this.#seed, view, start, end)
    const slots = this.#slots
    const mask = slots.length - 1
    let slot = hash & mask
    for (let entry = slots[slot]!; entry !== 0; entry = slots[slot]!) {
      if (this.#hash.array[entry - 1] === hash && this.#equals(entry - 1, view, start, end)) return entry - 1
      slot = (slot + 1) & mask
    }
    const id = this.#hash.count
    this.#append(view, start, end)
    this.#hash.push(hash)
    this.probes += (slot - hash) & mask
    slots[slot] = id + 1
    if (id * 2 > slots.length) this.#rehash()
    return id
  }

  #equals(id: number, view: DataView, start: number, end: number): boolean {
    let at = this.#offset.array[id]!
    if (this.#offset.array[id + 1]! - at !== end - start) return false
    const own = this.#view
    let i = start
    for (const wordEnd = end - 3; i < wordEnd; i += 4, at += 4)
      if (own.getInt32(at, true) !== view.getInt32(i, true)) return false
    for (; i < end; i++, at++) if (own.getUint8(at) !== view.getUint8(i)) return false
    return true
  }

  #append(view: DataView, start: number, end: number): void {
    const at = this.#offset.array[this.#hash.count]!
    const needed = at + end - start
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2))
      grown.set(this.#bytes.subarray(0, at))
      this.#bytes = grown
      this.#view = viewOf(grown)
    }
    this.#bytes.set(new Uint8Array(view.buffer, view.byteOffset + start, end - start), at)
    this.#offset.push(needed)
  }

  /** Borrowed: valid until the next intern. */
  viewColumns(): { stringCount: number; stringOffset: Uint32Array; stringBytes: Uint8Array } {
    const stringCount = this.#hash.count
    const stringOffset = this.#offset.array.subarray(0, stringCount + 1)
    return { stringCount, stringOffset, stringBytes: this.#bytes.subarray(0, stringOffset[stringCount]) }
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
