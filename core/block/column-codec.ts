/**
 * Column chunks of a frame: from int64 lanes to bytes and back.
 *
 * Writing a value column:
 * 1. `measureColumn`: largest value and greatest common divisor, in one pass. The divisor is taken only if every value
 *    is below 2^53, where a double divides exactly; else it is 1.
 * 2. `divideColumn`: residuals = values / divisor. CPU nanoseconds become sample counts, bytes become allocation units.
 * 3. Residuals equal to those of an earlier column of the frame are not written: `same` names it (nanoseconds are the
 *    sample counts times the period in every Go CPU profile).
 * 4. Residuals are varints, of 32 bits where all fit. Byte planes were measured on real profiles and dropped: after
 *    zstd they are 0 to 25 % larger on stack ids and counts, 4 % smaller on allocated bytes, and no faster.
 * Stack ids are differences within a header, the first one absolute.
 *
 * No bigint, no allocation a row. Decoders never read past their bytes and return false for malformed input.
 */
import type { Int64Column } from '../wire/int64.ts'
import {
  VARINT64_BYTES_MAX,
  decodeVarints32,
  decodeVarints64,
  encodeVarints32,
  encodeVarints64,
} from '../wire/varint.ts'
import { CHUNK_ENCODING } from './format.ts'

/** Values that a double holds exactly: hi lane below 2^21. */
const HI_EXACT = 1 << 21
const TWO32 = 4294967296

export interface ColumnMeasure {
  /** 0 if every value is 0. */
  readonly divisor: number
  /** Residuals fit in 32 bits. */
  readonly narrow: boolean
}

export function measureColumn(column: Int64Column, start: number, end: number): ColumnMeasure {
  const { lo, hi } = column
  let divisor = 0
  let inverse = 0
  let max = 0
  let i = start
  for (; i < end && divisor !== 1; i++) {
    const high = hi[i]!
    if (high >= HI_EXACT) return { divisor: 1, narrow: false }
    const value = high * TWO32 + lo[i]!
    if (value > max) max = value
    // A product below 2^53 is exact: it equals the value only if the value is a multiple. A division takes four times as long.
    if (value === 0 || Math.floor(value * inverse + 0.5) * divisor === value) continue
    divisor = divisor === 0 ? value : greatestCommonDivisor(divisor, value)
    inverse = 1 / divisor
  }
  // Most counts get here within a few rows: nothing divides them all, and what is left to know is whether they are narrow.
  let high = 0
  for (; i < end; i++) high |= hi[i]!
  return { divisor, narrow: high === 0 && max < TWO32 * divisor }
}

function greatestCommonDivisor(a: number, b: number): number {
  while (b !== 0) {
    const rest = a % b
    a = b
    b = rest
  }
  return a
}

/** Residuals of rows [start, end) at index 0 of `out`; `out.hi` is written only if the residuals are wide. */
export function divideColumn(
  column: Int64Column,
  range: { start: number; end: number },
  measure: ColumnMeasure,
  out: Int64Column,
): void {
  const { start, end } = range
  const { divisor, narrow } = measure
  if (divisor <= 1) {
    out.lo.set(column.lo.subarray(start, end))
    if (!narrow) out.hi.set(column.hi.subarray(start, end))
    return
  }
  for (let i = start; i < end; i++) {
    const quotient = (column.hi[i]! * TWO32 + column.lo[i]!) / divisor
    out.lo[i - start] = quotient
    if (!narrow) out.hi[i - start] = Math.floor(quotient / TWO32)
  }
}

export function equalRows(a: Uint32Array, b: Uint32Array, count: number): boolean {
  for (let i = 0; i < count; i++) if (a[i] !== b[i]) return false
  return true
}

/** Values from residuals, in place. False if a product passes 2^53: then the divisor would not be above 1. */
export function multiplyColumn(column: Int64Column, at: number, count: number, divisor: number): boolean {
  if (divisor === 1) return true
  const { lo, hi } = column
  // The low 32 bits of the product depend on the low 32 bits of the divisor alone.
  const divisorLow = divisor | 0
  let fits = true
  for (let i = at; i < at + count; i++) {
    const residualLow = lo[i]!
    const product = (hi[i]! * TWO32 + residualLow) * divisor
    const low = Math.imul(residualLow, divisorLow) >>> 0
    lo[i] = low
    hi[i] = (product - low) / TWO32
    if (product > Number.MAX_SAFE_INTEGER) fits = false
  }
  return fits
}

export interface EncodedColumn {
  readonly encoding: number
  /** Borrowed from the scratch. */
  readonly bytes: Uint8Array
}

export function encodeNarrow(residuals: Uint32Array, count: number, scratch: Uint8Array): EncodedColumn {
  const end = encodeVarints32(residuals, 0, count, { out: scratch, at: 0 })
  return { encoding: CHUNK_ENCODING.varint32, bytes: scratch.subarray(0, end) }
}

export function encodeWide(residuals: Int64Column, count: number, scratch: Uint8Array): EncodedColumn {
  const end = encodeVarints64(residuals, 0, count, { out: scratch, at: 0 })
  return { encoding: CHUNK_ENCODING.varint64, bytes: scratch.subarray(0, end) }
}

/** Bytes of scratch that any encoder needs for so many rows. */
export function scratchBytes(rows: number): number {
  return rows * VARINT64_BYTES_MAX + 8
}

export interface ColumnBytes {
  readonly encoding: number
  readonly raw: Uint8Array
}

/** Reads `count` residuals below 2^32 into out[at…]. */
export function decodeNarrow(raw: Uint8Array, out: Uint32Array, at: number, count: number): boolean {
  return decodeVarints32({ bytes: raw, start: 0, end: raw.length }, out, at, count) === raw.length
}

/** Residuals of a value column into lanes. */
export function decodeResiduals(source: ColumnBytes, out: Int64Column, at: number, count: number): boolean {
  const raw = source.raw
  if (source.encoding !== CHUNK_ENCODING.varint64) return decodeNarrow(raw, out.lo, at, count)
  return decodeVarints64({ bytes: raw, start: 0, end: raw.length }, out, at, count) === raw.length
}

/** A bitmap of the rows that are not 0, low bit first, then their values, 8 bytes each (lo, hi). */
export function encodeSparse(column: Int64Column, start: number, end: number, scratch: Uint8Array): EncodedColumn {
  const count = end - start
  const bitmapBytes = (count + 7) >>> 3
  scratch.fill(0, 0, bitmapBytes)
  let at = bitmapBytes
  for (let i = 0; i < count; i++) {
    const lo = column.lo[start + i]!
    const hi = column.hi[start + i]!
    if ((lo | hi) === 0) continue
    scratch[i >>> 3] = scratch[i >>> 3]! | (1 << (i & 7))
    for (let k = 0; k < 4; k++) scratch[at++] = lo >>> (8 * k)
    for (let k = 0; k < 4; k++) scratch[at++] = hi >>> (8 * k)
  }
  return { encoding: CHUNK_ENCODING.sparse64, bytes: scratch.subarray(0, at) }
}

export function decodeSparse(raw: Uint8Array, out: Int64Column, at: number, count: number): boolean {
  let p = (count + 7) >>> 3
  for (let i = 0; i < count; i++) {
    if (((raw[i >>> 3]! >>> (i & 7)) & 1) === 0) continue
    if (p + 8 > raw.length) return false
    out.lo[at + i] = raw[p]! | (raw[p + 1]! << 8) | (raw[p + 2]! << 16) | (raw[p + 3]! << 24)
    out.hi[at + i] = raw[p + 4]! | (raw[p + 5]! << 8) | (raw[p + 6]! << 16) | (raw[p + 7]! << 24)
    p += 8
  }
  return p === raw.length
}

/** Differences of sorted stack ids within each header, the first one absolute. `rowLengths` are the frame's headers. */
export function stackDeltas(stackId: Uint32Array, start: number, rowLengths: Uint32Array, out: Uint32Array): void {
  let row = start
  let at = 0
  for (let h = 0; h < rowLengths.length; h++) {
    let previous = 0
    for (const end = row + rowLengths[h]!; row < end; row++) {
      const id = stackId[row]!
      out[at++] = id - previous
      previous = id
    }
  }
}

/** In place inverse of `stackDeltas` on rows from `at`. False if an id reaches `stackCount`. */
export function undoStackDeltas(out: Uint32Array, at: number, rowLengths: Uint32Array, stackCount: number): boolean {
  let row = at
  for (let h = 0; h < rowLengths.length; h++) {
    let id = 0
    for (const end = row + rowLengths[h]!; row < end; row++) {
      id += out[row]!
      out[row] = id
    }
    // Differences are not negative, so the last id is the largest.
    if (id >= stackCount && rowLengths[h] !== 0) return false
  }
  return true
}
