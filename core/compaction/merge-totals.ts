/**
 * Totals of headers against the rows they stand for. A merge carries totals over and never computes them anew, and series
 * are answered from totals alone: a total of another header would be wrong for ever, and no sum over rows would show it.
 */
import type { GroupRows, ProfileHeaders } from '../block/dataset.ts'
import { type Int64Column, getBigInt } from '../wire/int64.ts'

/** Low words are added so often before a carry is taken: 2^20 of below 2^32 are exact in a double. */
const CHUNK_ROWS = 1 << 20
const TWO32 = 2 ** 32

export interface TotalFault {
  readonly header: number
  readonly type: number
}

/** The first total of headers [first, end), all of one group, that is not the sum of its rows. `rows` begin with those of `first`. */
export function findTotalFault(
  headers: Pick<ProfileHeaders, 'totals' | 'rowStart' | 'rowLength'>,
  { first, end }: { readonly first: number; readonly end: number },
  rows: Pick<GroupRows, 'values' | 'factors'>,
): TotalFault | undefined {
  const base = headers.rowStart[first]!
  for (let header = first; header < end; header++) {
    const start = headers.rowStart[header]! - base
    const span = { start, end: start + headers.rowLength[header]! }
    for (let type = 0; type < rows.values.length; type++) {
      const total = headers.totals[type]!
      const known = rows.factors?.[type]
      if (known !== undefined) {
        if (!isProduct(total, headers.totals[known.of]!, { header, factor: known.factor })) return { header, type }
      } else if (!isSum(rows.values[type]!, span, { lo: total.lo[header]!, hi: total.hi[header]! }))
        return { header, type }
    }
  }
  return undefined
}

/** Of a total that was found right before. Modulo 2^64, as totals are. */
function isProduct(
  total: Int64Column,
  of: Int64Column,
  { header, factor }: { readonly header: number; readonly factor: number },
): boolean {
  const product = (of.hi[header]! * TWO32 + of.lo[header]!) * factor
  if (product <= Number.MAX_SAFE_INTEGER) return product === total.hi[header]! * TWO32 + total.lo[header]!
  return BigInt.asUintN(64, getBigInt(of, header) * BigInt(factor)) === BigInt.asUintN(64, getBigInt(total, header))
}

/** Modulo 2^64, as totals are. */
function isSum(
  { lo, hi }: Int64Column,
  { start, end }: { readonly start: number; readonly end: number },
  total: { readonly lo: number; readonly hi: number },
): boolean {
  let low = 0
  let high = 0
  for (let from = start; from < end; from += CHUNK_ROWS) {
    const to = Math.min(end, from + CHUNK_ROWS)
    for (let i = from; i < to; i++) {
      low += lo[i]!
      high = (high + hi[i]!) | 0
    }
    high = (high + Math.floor(low / TWO32)) | 0
    low %= TWO32
  }
  return low === total.lo >>> 0 && high >>> 0 === total.hi >>> 0
}
