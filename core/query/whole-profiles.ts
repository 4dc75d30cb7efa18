/**
 * Which headers of a dataset are parts of one pushed profile, and shown as one: the same first bytes of the id, the same
 * time, the same output series. An open hash over positions, because a key as text costs more than all that is done with
 * the profile (a day of eight services is 35,000 of them).
 */
import { PROFILE_ID_BYTES } from '../block/header-section.ts'
import { mix32 } from '../wire/hash.ts'
import type { Int64Column } from '../wire/int64.ts'
import { tableBytes, tableSeed, tableStep } from '../wire/table-hash.ts'
import { SHARED_ID_BYTES } from './profile-ids.ts'

export interface PartColumns {
  /** Of all headers, in order. */
  readonly ids: Uint8Array
  readonly times: Int64Column
  readonly series: Uint32Array
  /** Output series by series. */
  readonly groupOf: ArrayLike<number>
}

export class WholeProfiles {
  readonly #parts: PartColumns
  /** Header of the first part of every whole; only the first `count` count. */
  readonly first: Uint32Array
  count = 0
  /** Whole + 1, 0 = free; at half load at most. */
  readonly #slots: Uint32Array
  readonly #seed = tableSeed()

  /** `headersMax`: how many headers will be asked for at most. */
  constructor(parts: PartColumns, headersMax: number) {
    this.#parts = parts
    this.first = new Uint32Array(headersMax)
    let slotCount = 16
    while (slotCount < headersMax * 2) slotCount *= 2
    this.#slots = new Uint32Array(slotCount)
  }

  /** The whole that a header is a part of: `count` before the call, if it is the first of it. */
  wholeOf(header: number): number {
    const { ids, times } = this.#parts
    const start = header * PROFILE_ID_BYTES
    const mask = this.#slots.length - 1
    let slot = mix32(tableStep(tableBytes(this.#seed, ids, start, start + SHARED_ID_BYTES), times.lo[header]!)) & mask
    for (let entry = this.#slots[slot]!; entry !== 0; entry = this.#slots[slot]!) {
      if (this.#isSame(this.first[entry - 1]!, header)) return entry - 1
      slot = (slot + 1) & mask
    }
    this.first[this.count] = header
    this.#slots[slot] = ++this.count
    return this.count - 1
  }

  #isSame(a: number, b: number): boolean {
    const { ids, times, series, groupOf } = this.#parts
    if (times.lo[a] !== times.lo[b] || times.hi[a] !== times.hi[b]) return false
    if (groupOf[series[a]!] !== groupOf[series[b]!]) return false
    const [startA, startB] = [a * PROFILE_ID_BYTES, b * PROFILE_ID_BYTES]
    for (let i = 0; i < SHARED_ID_BYTES; i++) if (ids[startA + i] !== ids[startB + i]) return false
    return true
  }
}
