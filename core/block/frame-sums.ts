/**
 * Rows of a frame summed by stack as they are decoded: a query wants sums, and columns of rows that are written, read again
 * and dropped were half of what it did with samples.
 *
 * 1. Stack ids and values are read side by side, varint by varint; headers that nobody wants are passed over.
 * 2. What is summed are residuals, whole numbers below 2^32, in doubles: exact for `RESIDUAL_ROWS_MAX` rows. The caller
 *    multiplies by the divisor once a stack, and not once a row.
 * A column of 64 bit residuals is not for here: the caller decodes its rows.
 *
 * Damage is found as where rows are decoded: a varint over 32 bits, a stack out of range, a product past 2^53, bytes that
 * are too few or too many. Past the end of the bytes a typed array gives `undefined`, which counts as 0 and moves the place
 * beyond the end, where it is found.
 */
import { CHUNK_ENCODING } from './format.ts'
import type { Frame } from './frame-index.ts'
import { type FrameSource, malformedColumn, openChunk } from './frames.ts'

/** 2^20 residuals below 2^32 sum up below 2^52. A single header may have more rows; such a frame is not summed here. */
export const RESIDUAL_ROWS_MAX = 1 << 20

export interface FrameWish {
  readonly frame: Frame
  /** Of the frame's group. */
  readonly type: number
  /** 1 = its rows count; by header of the dataset, or by rollup. */
  readonly wanted: Uint8Array
}

/** Residuals by stack for one divisor, with room for so many rows more. */
export type ResidualsFor = (divisor: number, rows: number) => Float64Array

/** Adds the rows of wanted headers; false if the frame is of the other kind, and nothing was added. */
export function sumFrame(source: FrameSource, wish: FrameWish, residualsFor: ResidualsFor): boolean {
  const { frame, type } = wish
  const own = frame.columns[1 + type]!
  if (own.encoding === CHUNK_ENCODING.zero) return true
  const column = own.encoding === CHUNK_ENCODING.same ? 1 + own.reference : 1 + type
  const isNarrow = frame.columns[column]!.encoding === CHUNK_ENCODING.varint32
  // Stacks of no bytes are all the empty one.
  const hasStacks = frame.columns[0]!.encoding === CHUNK_ENCODING.varint32
  if (!isNarrow || !hasStacks || frame.rowCount > RESIDUAL_ROWS_MAX) return false
  const stacks = openChunk(source, frame, 0)
  const values = openChunk(source, frame, column)
  const lengths = source.headers.rowLength.subarray(frame.firstHeader, frame.firstHeader + frame.headerCount)
  const wanted = wish.wanted.subarray(frame.firstHeader, frame.firstHeader + frame.headerCount)
  const sums = residualsFor(own.divisor, frame.rowCount)
  const largest = sumRows({ stacks, values, stackCount: source.stackCount }, { lengths, wanted }, sums)
  if (largest < 0) throw malformedColumn(source, frame, 0)
  if (largest * own.divisor > Number.MAX_SAFE_INTEGER) throw malformedColumn(source, frame, 1 + type)
  return true
}

interface RowBytes {
  readonly stacks: Uint8Array
  readonly values: Uint8Array
  readonly stackCount: number
}

/** The largest residual, or -1 for malformed bytes. One loop, without a call a row: it is where such queries spend their time. */
function sumRows(
  { stacks, values, stackCount }: RowBytes,
  { lengths, wanted }: { readonly lengths: Uint32Array; readonly wanted: Uint8Array },
  sums: Float64Array,
): number {
  let s = 0
  let v = 0
  let largest = 0
  for (let h = 0; h < lengths.length; h++) {
    const rows = lengths[h]!
    if (wanted[h] !== 1) {
      s = skipVarints(stacks, s, rows)
      v = skipVarints(values, v, rows)
      continue
    }
    let id = 0
    for (let row = 0; row < rows; row++) {
      let delta = stacks[s++]!
      if (delta > 0x7f) {
        let byte = stacks[s++]!
        delta = (delta & 0x7f) | ((byte & 0x7f) << 7)
        for (let shift = 14; byte > 0x7f; shift += 7) {
          byte = stacks[s++]!
          if (shift === 28 && byte > 0x0f) return -1
          delta = (delta | ((byte & 0x7f) << shift)) >>> 0
        }
      }
      let value = values[v++]!
      if (value > 0x7f) {
        let byte = values[v++]!
        value = (value & 0x7f) | ((byte & 0x7f) << 7)
        for (let shift = 14; byte > 0x7f; shift += 7) {
          byte = values[v++]!
          if (shift === 28 && byte > 0x0f) return -1
          value = (value | ((byte & 0x7f) << shift)) >>> 0
        }
      }
      id += delta
      sums[id]! += value
      if (value > largest) largest = value
    }
    // Differences are not negative, so the last id is the largest; what lies past the column was not written.
    if (rows > 0 && !(id < stackCount)) return -1
  }
  return s === stacks.length && v === values.length ? largest : -1
}

/** The place after so many varints, or past the end. */
function skipVarints(bytes: Uint8Array, at: number, count: number): number {
  let p = at
  for (let left = count; left > 0; p++) {
    if (p >= bytes.length) return bytes.length + 1
    if (bytes[p]! < 0x80) left--
  }
  return p
}
