/**
 * From keys of a constant pool (64 bits, any order) to rows, numbered in order of first use: a record may name a key
 * before, or without, its definition.
 *
 * Small keys are looked up in an array, which grows no further than what a real chunk of its size numbers; larger ones
 * (a method of a JVM is its class and a number, a stack of an agent a hash) in an open hash.
 */
import { mix32 } from '../../wire/hash.ts'
import { tableSeed, tableStep } from '../../wire/table-hash.ts'

const DIRECT_MIN = 1_024
/** Real chunks have an entry of a pool for 100 bytes or more, and number them from 1. */
const DIRECT_SHARE = 16

export class KeyTable {
  count = 0
  /** Slots that insertions have passed over: a few a row, whatever the keys are. */
  probes = 0
  readonly #seed = tableSeed()
  #lo = new Uint32Array(64)
  #hi = new Uint32Array(64)
  /** Row + 1 by key; 0 = free. */
  #direct = new Uint32Array(0)
  #directMax = 0
  #directUsed = 0
  /** Open hash of row + 1, at most half full. */
  #slots = new Uint32Array(128)
  #hashed = 0

  /** Forgets everything. `bytes` is the size of the chunk. */
  begin(bytes: number): void {
    this.count = 0
    this.#direct.fill(0, 0, this.#directUsed)
    this.#directUsed = 0
    this.#directMax = Math.max(DIRECT_MIN, Math.floor(bytes / DIRECT_SHARE))
    if (this.#hashed > 0) this.#slots.fill(0)
    this.#hashed = 0
  }

  get sizeBytes(): number {
    return this.#direct.byteLength + this.#slots.byteLength + 2 * this.#lo.byteLength
  }

  /** The row of a key, a new one if it has none. */
  rowOf(lo: number, hi: number): number {
    if (hi !== 0 || lo >= this.#directMax) return this.#hashedRow(lo, hi)
    if (lo >= this.#direct.length) this.#growDirect(lo)
    const known = this.#direct[lo]!
    if (known !== 0) return known - 1
    if (lo >= this.#directUsed) this.#directUsed = lo + 1
    const row = this.count++
    this.#direct[lo] = row + 1
    return row
  }

  #growDirect(key: number): void {
    const grown = new Uint32Array(Math.min(this.#directMax, Math.max(DIRECT_MIN, (key + 1) * 2)))
    grown.set(this.#direct.subarray(0, this.#directUsed))
    this.#direct = grown
  }

  #hashedRow(lo: number, hi: number): number {
    const mask = this.#slots.length - 1
    const first = hashKey(this.#seed, lo, hi) & mask
    let slot = first
    for (;;) {
      const entry = this.#slots[slot]!
      if (entry === 0) break
      if (this.#lo[entry - 1] === lo && this.#hi[entry - 1] === hi) return entry - 1
      slot = (slot + 1) & mask
    }
    const row = this.count++
    if (row >= this.#lo.length) this.#growKeys(row)
    this.#lo[row] = lo
    this.#hi[row] = hi
    this.probes += (slot - first) & mask
    this.#slots[slot] = row + 1
    if (++this.#hashed * 2 > this.#slots.length) this.#rehash()
    return row
  }

  #growKeys(row: number): void {
    const lo = new Uint32Array((row + 1) * 2)
    const hi = new Uint32Array((row + 1) * 2)
    lo.set(this.#lo)
    hi.set(this.#hi)
    this.#lo = lo
    this.#hi = hi
  }

  #rehash(): void {
    const old = this.#slots
    const slots = new Uint32Array(old.length * 2)
    const mask = slots.length - 1
    for (const entry of old) {
      if (entry === 0) continue
      let slot = hashKey(this.#seed, this.#lo[entry - 1]!, this.#hi[entry - 1]!) & mask
      while (slots[slot] !== 0) slot = (slot + 1) & mask
      slots[slot] = entry
    }
    this.#slots = slots
  }
}

function hashKey(seed: number, lo: number, hi: number): number {
  return mix32(tableStep(tableStep(seed, lo), hi))
}
