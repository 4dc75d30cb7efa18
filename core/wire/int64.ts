/**
 * int64 as two 32-bit lanes. bigint stops at the codec: a bigint sum loop is 24 to 41 times slower than lanes, and
 * Float64 is exact only below 2^53 (104 CPU-days in nanoseconds).
 *
 * A column is `lo` and `hi`, both Uint32Array; value = hi * 2^32 + lo, `hi` read as int32 for negative values.
 * All arithmetic is modulo 2^64, as int64 is on the wire.
 */

export interface Int64Column {
  readonly lo: Uint32Array
  readonly hi: Uint32Array
}

export function allocateInt64Column(length: number): Int64Column {
  return { lo: new Uint32Array(length), hi: new Uint32Array(length) }
}

/** column[index] += (lo, hi). */
export function addInt64At(column: Int64Column, index: number, lo: number, hi: number): void {
  const sum = column.lo[index]! + lo
  column.lo[index] = sum
  column.hi[index] = column.hi[index]! + hi + (sum > 0xffffffff ? 1 : 0)
}

export function getBigInt(column: Int64Column, index: number): bigint {
  return BigInt.asIntN(64, (BigInt(column.hi[index]!) << 32n) | BigInt(column.lo[index]!))
}

/** Of the rows, in their order. One allocation a value where `getBigInt` makes four. Lanes as a little-endian machine has them. */
export function bigIntsAt(column: Int64Column, rows: readonly number[]): bigint[] {
  const lanes = new Uint32Array(rows.length * 2)
  for (let i = 0; i < rows.length; i++) {
    lanes[2 * i] = column.lo[rows[i]!]!
    lanes[2 * i + 1] = column.hi[rows[i]!]!
  }
  const values = new BigInt64Array(lanes.buffer)
  return rows.map((_, i) => values[i]!)
}

export function setBigInt(column: Int64Column, index: number, value: bigint): void {
  column.lo[index] = Number(value & 0xffffffffn)
  column.hi[index] = Number((value >> 32n) & 0xffffffffn)
}

/** The nearest double: exact when |value| < 2^53. */
export function getNumber(column: Int64Column, index: number): number {
  return (column.hi[index]! | 0) * 4294967296 + column.lo[index]!
}

/** Sum of column[start..end), exact modulo 2^64. */
export function sumInt64(column: Int64Column, start: number, end: number): bigint {
  // 2^20 additions of values below 2^32 stay below 2^52: exact in a double, so the carry is taken once a chunk.
  const chunk = 1 << 20
  let total = 0n
  for (let from = start; from < end; from += chunk) {
    const to = Math.min(end, from + chunk)
    let lo = 0
    let hi = 0
    for (let i = from; i < to; i++) {
      lo += column.lo[i]!
      hi += column.hi[i]!
    }
    total += BigInt(lo) + (BigInt(hi) << 32n)
  }
  return BigInt.asIntN(64, total)
}

export function sliceInt64(column: Int64Column, start: number, end: number): Int64Column {
  return { lo: column.lo.slice(start, end), hi: column.hi.slice(start, end) }
}
