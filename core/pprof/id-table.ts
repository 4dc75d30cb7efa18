/**
 * From wire ids (uint64, any order, any density) to rows.
 *
 * Ids below 2^21 (one to three varint bytes: every agent that numbers from 1) stand for themselves. Larger ones, such as
 * addresses used as ids, are interned: id = 2^21 + ordinal of first use. So all ids of a decoder are dense 32-bit numbers
 * and one array answers each lookup. Id 0 means "none" and never has a row. Of equal ids the last row wins, as in a map
 * that is filled in message order.
 */
import { assert } from '../assert.ts'
import { mix32 } from '../wire/hash.ts'
import { tableSeed, tableStep } from '../wire/table-hash.ts'
import { NO_ROW } from './profile.ts'

/** 2^21: what three varint bytes hold; readers of one to three bytes take the id as it is. */
export const DIRECT_ID_LIMIT = 2 ** 21

/** An id takes at least four bytes on the wire, so a message of 256 MiB cannot hold more. */
const WIDE_IDS_MAX = 2 ** 26

/** Numbers ids of 2^21 and above in order of first use. Shared by the id spaces of one profile. */
export class WideIds {
  count = 0
  /** Slots that insertions have passed over: a few a row, whatever the keys are. */
  probes = 0
  readonly #seed = tableSeed()
  #lo = new Uint32Array(64)
  #hi = new Uint32Array(64)
  /** Open hash of ordinals + 1; 0 = free. At most half full. */
  #slots = new Uint32Array(128)

  clear(): void {
    if (this.count > 0) this.#slots.fill(0)
    this.count = 0
  }

  /** The id by which decoder columns know (lo, hi). */
  idOf(lo: number, hi: number): number {
    if (hi === 0 && lo < DIRECT_ID_LIMIT) return lo
    const mask = this.#slots.length - 1
    const first = hashId(this.#seed, lo, hi) & mask
    let slot = first
    for (;;) {
      const entry = this.#slots[slot]!
      if (entry === 0) break
      if (this.#lo[entry - 1] === lo && this.#hi[entry - 1] === hi) return DIRECT_ID_LIMIT + entry - 1
      slot = (slot + 1) & mask
    }
    this.probes += (slot - first) & mask
    return this.#insert(slot, lo, hi)
  }

  #insert(slot: number, lo: number, hi: number): number {
    const ordinal = this.count++
    assert(ordinal < WIDE_IDS_MAX, 'a message is too short for so many ids')
    if (ordinal === this.#lo.length) this.#growEntries()
    this.#lo[ordinal] = lo
    this.#hi[ordinal] = hi
    this.#slots[slot] = ordinal + 1
    if (this.count * 2 > this.#slots.length) this.#rehash()
    return DIRECT_ID_LIMIT + ordinal
  }

  #growEntries(): void {
    const lo = new Uint32Array(this.#lo.length * 2)
    const hi = new Uint32Array(this.#hi.length * 2)
    lo.set(this.#lo)
    hi.set(this.#hi)
    this.#lo = lo
    this.#hi = hi
  }

  #rehash(): void {
    const slots = new Uint32Array(this.#slots.length * 2)
    const mask = slots.length - 1
    for (let i = 0; i < this.count; i++) {
      let slot = hashId(this.#seed, this.#lo[i]!, this.#hi[i]!) & mask
      while (slots[slot] !== 0) slot = (slot + 1) & mask
      slots[slot] = i + 1
    }
    this.#slots = slots
  }
}

function hashId(seed: number, lo: number, hi: number): number {
  return mix32(tableStep(tableStep(seed, lo), hi))
}

/**
 * Ids up to this many times the rows (and 1,024) are looked up in an array; sparser ones in a hash, so that a table is
 * bounded by what the message holds: six bytes may name the id 2^21 - 1.
 */
const SPARSE_FACTOR = 16
const SPARSE_IDS_MIN = 1_024

/** Rows of one id space. */
export class IdTable {
  /** Slots that insertions have passed over: a few a row, whatever the keys are. */
  probes = 0
  readonly #seed = tableSeed()
  #direct = new Uint32Array(0)
  #wide = new Uint32Array(0)
  #directCount = 0
  /** Row of id is id - 1: what every agent that numbers from 1 sends. Then there is no table. */
  #sequentialCount = -1
  /** Ids that are too sparse for an array: open hash of row + 1, 0 = free, with the id beside it; at most half full. */
  #isSparse = false
  #slotRow = new Uint32Array(0)
  #slotId = new Uint32Array(0)
  #slotMask = 0

  /** Row i has the id ids[i]. */
  build(ids: Uint32Array, count: number, wideCount: number): void {
    let sequential = 0
    while (sequential < count && ids[sequential] === sequential + 1) sequential++
    this.#sequentialCount = sequential === count ? count : -1
    if (sequential === count) return
    let directMax = 0
    for (let i = 0; i < count; i++) if (ids[i]! < DIRECT_ID_LIMIT && ids[i]! > directMax) directMax = ids[i]!
    this.#isSparse = directMax > Math.max(SPARSE_IDS_MIN, SPARSE_FACTOR * count)
    this.#directCount = this.#isSparse ? 0 : directMax + 1
    if (this.#isSparse) this.#clearSlots(count)
    if (this.#direct.length < this.#directCount) this.#direct = new Uint32Array(this.#directCount)
    if (this.#wide.length < wideCount) this.#wide = new Uint32Array(wideCount)
    this.#direct.fill(NO_ROW, 0, this.#directCount)
    this.#wide.fill(NO_ROW)
    for (let i = 0; i < count; i++) {
      const id = ids[i]!
      if (id >= DIRECT_ID_LIMIT) this.#wide[id - DIRECT_ID_LIMIT] = i
      else if (id === 0) continue
      else if (this.#isSparse) this.#setSparse(id, i)
      else this.#direct[id] = i
    }
  }

  /** Replaces ids by rows in place; `NO_ROW` for id 0 and for an id without a row. */
  resolve(references: Uint32Array, count: number): void {
    if (this.#sequentialCount >= 0) {
      const rows = this.#sequentialCount
      for (let i = 0; i < count; i++) {
        const id = references[i]!
        // 0 - 1 wraps to 2^32 - 1, which is NO_ROW.
        references[i] = id <= rows ? id - 1 : NO_ROW
      }
      return
    }
    if (this.#isSparse) {
      this.#resolveSparse(references, count)
      return
    }
    const direct = this.#direct
    const wide = this.#wide
    const directCount = this.#directCount
    for (let i = 0; i < count; i++) {
      const id = references[i]!
      if (id < DIRECT_ID_LIMIT) references[i] = id < directCount ? direct[id]! : NO_ROW
      else references[i] = wide[id - DIRECT_ID_LIMIT]!
    }
  }

  #clearSlots(count: number): void {
    let size = 16
    while (size < count * 2) size *= 2
    if (this.#slotRow.length < size) {
      this.#slotRow = new Uint32Array(size)
      this.#slotId = new Uint32Array(size)
    } else this.#slotRow.fill(0, 0, size)
    this.#slotMask = size - 1
  }

  /** The slot of an id, or the free one where it would go. */
  #slotOf(id: number): number {
    let slot = hashId(this.#seed, id, 0) & this.#slotMask
    while (this.#slotRow[slot] !== 0 && this.#slotId[slot] !== id) slot = (slot + 1) & this.#slotMask
    return slot
  }

  #setSparse(id: number, row: number): void {
    const slot = this.#slotOf(id)
    this.probes += (slot - hashId(this.#seed, id, 0)) & this.#slotMask
    this.#slotRow[slot] = row + 1
    this.#slotId[slot] = id
  }

  #resolveSparse(references: Uint32Array, count: number): void {
    for (let i = 0; i < count; i++) {
      const id = references[i]!
      // A free slot holds 0, and 0 - 1 wraps to NO_ROW.
      if (id < DIRECT_ID_LIMIT) references[i] = this.#slotRow[this.#slotOf(id)]! - 1
      else references[i] = this.#wide[id - DIRECT_ID_LIMIT]!
    }
  }
}
