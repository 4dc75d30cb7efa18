/**
 * Varints and skipping for the decoder's loops, which keep the position in a local variable: every method takes a
 * position and returns the next one. After a fault the returned position is `FAULT_POSITION`, past any end, so that the
 * loops end by themselves and one comparison per message (position = end?) finds every truncation.
 *
 * Must not: be used where a few nanoseconds do not matter; `ProtobufReader` is easier to hold right.
 */
export const FAULT_POSITION = 0x7fffffff

export class Cursor {
  raw: Uint8Array = new Uint8Array(0)
  lo = 0
  hi = 0
  fault: string | undefined

  begin(raw: Uint8Array): void {
    this.raw = raw
    this.fault = undefined
  }

  /** Reads 64 bits at `start` into `lo` and `hi`. A byte past the array is undefined, so the end check finds it. */
  varint(start: number): number {
    const raw = this.raw
    let p = start
    let byte = raw[p++]!
    let lo = byte & 0x7f
    if (byte > 0x7f) {
      byte = raw[p++]!
      lo |= (byte & 0x7f) << 7
      if (byte > 0x7f) {
        byte = raw[p++]!
        lo |= (byte & 0x7f) << 14
        if (byte > 0x7f) {
          byte = raw[p++]!
          lo |= (byte & 0x7f) << 21
          if (byte > 0x7f) return this.#longVarint(p, lo, start)
        }
      }
    }
    this.lo = lo
    this.hi = 0
    return p
  }

  /** The bytes from the fifth on. */
  #longVarint(at: number, low28: number, start: number): number {
    const raw = this.raw
    let p = at
    let byte = raw[p++]!
    this.lo = (low28 | (byte << 28)) >>> 0
    let hi = (byte & 0x7f) >>> 4
    for (let shift = 3; byte > 0x7f; shift += 7) {
      // The tenth byte holds bit 63; there is no eleventh.
      if (shift > 31) return this.fail(`varint of more than 10 bytes at byte ${start}`)
      byte = raw[p++]!
      hi |= (byte & 0x7f) << shift
    }
    this.hi = hi >>> 0
    return p
  }

  /** Reads a length into `lo`; the payload then lies in [returned position, returned position + lo), inside `end`. */
  length(start: number, end: number): number {
    const p = this.varint(start)
    if (this.hi !== 0 || this.lo > end - p) {
      return this.fail(`length at byte ${start} passes the end of its message at byte ${end}`)
    }
    return p
  }

  /**
   * Skips the field whose tag is at `start`. `known` is the set of field numbers that the caller reads, as bits: one of
   * them here has the wrong wire type, which is a fault as it is for generated decoders.
   */
  skip(start: number, end: number, known: number): number {
    let p = this.varint(start)
    const wireType = this.lo & 7
    const field = ((this.lo >>> 3) | (this.hi << 29)) >>> 0
    if (p > end) return this.fail(`truncated tag at byte ${start}`)
    if (this.hi !== 0 || field === 0) return this.fail(`field number out of range at byte ${start}`)
    if (field < 32 && ((known >>> field) & 1) === 1)
      return this.fail(`wire type ${wireType} of field ${field} at byte ${start}`)
    if (wireType === 0) p = this.varint(p)
    else if (wireType === 1) p += 8
    else if (wireType === 5) p += 4
    else if (wireType === 2) {
      p = this.length(p, end)
      return p === FAULT_POSITION ? p : p + this.lo
    } else return this.fail(`wire type ${wireType} at byte ${start}`)
    return p > end ? this.fail(`truncated field ${field} at byte ${start}`) : p
  }

  fail(fault: string): number {
    this.fault ??= fault
    return FAULT_POSITION
  }
}
