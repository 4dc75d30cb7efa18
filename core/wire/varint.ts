/**
 * Variable-length integers (LEB128: seven bits a byte, low bits first) over typed arrays, single and by the column.
 *
 * A column of n varints is read in two steps: a fast loop that needs no bounds check because the longest varint still
 * fits before `end`, then a checked loop for the rest. Decoders return the next position, or -1 if the bytes end early
 * or a varint is wider than its type; they never read past `end` and never throw.
 * int64 stays in two 32-bit lanes: no bigint here.
 */

export const VARINT32_BYTES_MAX = 5
export const VARINT64_BYTES_MAX = 10

/** Room for five bytes is the caller's duty. Returns the next position. */
export function writeVarint32(bytes: Uint8Array, at: number, value: number): number {
  let rest = value >>> 0
  while (rest > 0x7f) {
    bytes[at++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  bytes[at++] = rest
  return at
}

/** Room for ten bytes is the caller's duty. */
export function writeVarint64(bytes: Uint8Array, at: number, low: number, high: number): number {
  let lo = low >>> 0
  let hi = high >>> 0
  while (hi !== 0) {
    bytes[at++] = (lo & 0x7f) | 0x80
    lo = ((lo >>> 7) | (hi << 25)) >>> 0
    hi >>>= 7
  }
  return writeVarint32(bytes, at, lo)
}

/** Varints of column[start, end) at out[at…]; needs five bytes a row. */
export function encodeVarints32(
  column: Uint32Array,
  start: number,
  end: number,
  target: { out: Uint8Array; at: number },
): number {
  const out = target.out
  let at = target.at
  for (let i = start; i < end; i++) {
    const value = column[i]!
    if (value < 0x80) out[at++] = value
    else if (value < 0x4000) {
      out[at] = (value & 0x7f) | 0x80
      out[at + 1] = value >>> 7
      at += 2
    } else at = writeVarint32(out, at, value)
  }
  return at
}

/** Varints of the lanes [start, end); needs ten bytes a row. */
export function encodeVarints64(
  column: { lo: Uint32Array; hi: Uint32Array },
  start: number,
  end: number,
  target: { out: Uint8Array; at: number },
): number {
  const out = target.out
  let at = target.at
  for (let i = start; i < end; i++) at = writeVarint64(out, at, column.lo[i]!, column.hi[i]!)
  return at
}

export interface VarintSource {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
}

/** Reads `count` varints of at most 32 bits into out[at…]. */
export function decodeVarints32(source: VarintSource, out: Uint32Array, at: number, count: number): number {
  const bytes = source.bytes
  const safeEnd = source.end - VARINT32_BYTES_MAX
  const stop = at + count
  let p = source.start
  while (at < stop && p <= safeEnd) {
    let byte = bytes[p++]!
    if (byte < 0x80) {
      out[at++] = byte
      continue
    }
    let value = byte & 0x7f
    byte = bytes[p++]!
    value |= (byte & 0x7f) << 7
    if (byte > 0x7f) {
      byte = bytes[p++]!
      value |= (byte & 0x7f) << 14
      if (byte > 0x7f) {
        byte = bytes[p++]!
        value |= (byte & 0x7f) << 21
        if (byte > 0x7f) {
          byte = bytes[p++]!
          if (byte > 0x0f) return -1
          value |= byte << 28
        }
      }
    }
    out[at++] = value
  }
  for (; at < stop; at++) {
    let value = 0
    let shift = 0
    for (;;) {
      if (p >= source.end || shift > 28) return -1
      const byte = bytes[p++]!
      if (shift === 28 && byte > 0x0f) return -1
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) break
      shift += 7
    }
    out[at] = value
  }
  return p
}

/** Reads `count` varints of at most 64 bits into the lanes at `at`. */
export function decodeVarints64(
  source: VarintSource,
  out: { lo: Uint32Array; hi: Uint32Array },
  at: number,
  count: number,
): number {
  const bytes = source.bytes
  const end = source.end
  const stop = at + count
  let p = source.start
  for (; at < stop; at++) {
    let lo = 0
    let hi = 0
    let shift = 0
    // One or two bytes: what most counts, lines and differences take.
    if (p + 1 < end) {
      const first = bytes[p]!
      if (first < 0x80) {
        out.lo[at] = first
        out.hi[at] = 0
        p++
        continue
      }
      const second = bytes[p + 1]!
      if (second < 0x80) {
        out.lo[at] = (first & 0x7f) | (second << 7)
        out.hi[at] = 0
        p += 2
        continue
      }
    }
    for (;;) {
      if (p >= end || shift > 63) return -1
      const byte = bytes[p++]!
      const bits = byte & 0x7f
      if (shift === 63 && byte > 1) return -1
      if (shift < 28) lo |= bits << shift
      else if (shift === 28) {
        lo |= bits << 28
        hi = bits >>> 4
      } else hi |= bits << (shift - 32)
      if (byte < 0x80) break
      shift += 7
    }
    out.lo[at] = lo
    out.hi[at] = hi
  }
  return p
}

/** Signed to unsigned, small magnitudes first: 0, -1, 1, -2, … on 32 bits. */
export function zigzag32(value: number): number {
  return ((value << 1) ^ (value >> 31)) >>> 0
}

export function unzigzag32(value: number): number {
  return (value >>> 1) ^ -(value & 1)
}

/** out[i] = zigzag(column[i] - column[i - 1]) modulo 2^32; the row before the first is 0. */
export function deltas32(column: Uint32Array, count: number): Uint32Array {
  const out = new Uint32Array(count)
  let previous = 0
  for (let i = 0; i < count; i++) {
    const value = column[i]!
    out[i] = zigzag32((value - previous) | 0)
    previous = value
  }
  return out
}

/** In place inverse of `deltas32`. */
export function undoDeltas32(column: Uint32Array, count: number): void {
  let previous = 0
  for (let i = 0; i < count; i++) {
    previous = (previous + unzigzag32(column[i]!)) | 0
    column[i] = previous
  }
}

/** The same on lanes, modulo 2^64. */
export function deltas64(
  column: { lo: Uint32Array; hi: Uint32Array },
  count: number,
): { lo: Uint32Array; hi: Uint32Array } {
  const lo = new Uint32Array(count)
  const hi = new Uint32Array(count)
  let previousLo = 0
  let previousHi = 0
  for (let i = 0; i < count; i++) {
    const valueLo = column.lo[i]!
    const valueHi = column.hi[i]!
    const deltaLo = (valueLo - previousLo) | 0
    const deltaHi = (valueHi - previousHi - (valueLo < previousLo ? 1 : 0)) | 0
    const sign = deltaHi >> 31
    lo[i] = (deltaLo << 1) ^ sign
    hi[i] = ((deltaHi << 1) | (deltaLo >>> 31)) ^ sign
    previousLo = valueLo
    previousHi = valueHi
  }
  return { lo, hi }
}

/** In place inverse of `deltas64`. */
export function undoDeltas64(column: { lo: Uint32Array; hi: Uint32Array }, count: number): void {
  let previousLo = 0
  let previousHi = 0
  for (let i = 0; i < count; i++) {
    const zigLo = column.lo[i]!
    const zigHi = column.hi[i]!
    const sign = -(zigLo & 1)
    const deltaLo = (((zigLo >>> 1) | (zigHi << 31)) ^ sign) >>> 0
    const deltaHi = (zigHi >>> 1) ^ sign
    const sum = previousLo + deltaLo
    previousHi = (previousHi + deltaHi + (sum > 0xffffffff ? 1 : 0)) | 0
    previousLo = sum >>> 0
    column.lo[i] = previousLo
    column.hi[i] = previousHi
  }
}
