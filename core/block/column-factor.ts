/**
 * Columns of values that are others times a whole number: nanoseconds of a Go CPU profile are its sample counts times the
 * period, in every row. What follows from the one column follows for the other: one pass finds out, and sums, totals,
 * divisors and residuals need not be computed twice.
 *
 * Must not: call equal what is only nearly so. Products that pass 2^53 are none.
 */
import type { Int64Column } from '../wire/int64.ts'

/** In every row the value is `factor` times that of type `of`, below 2^53. */
export interface ColumnFactor {
  /** An earlier type that follows from no other. */
  readonly of: number
  readonly factor: number
}

const TWO32 = 4294967296

/** By type, for rows [0, rowCount); undefined for those that stand for themselves. */
export function columnFactors(values: readonly Int64Column[], rowCount: number): (ColumnFactor | undefined)[] {
  const factors: (ColumnFactor | undefined)[] = []
  for (let type = 0; type < values.length; type++) {
    let found: ColumnFactor | undefined
    for (let of = 0; of < type && found === undefined; of++) {
      if (factors[of] !== undefined) continue
      const factor = factorBetween(values[of]!, values[type]!, rowCount)
      if (factor !== 0) found = { of, factor }
    }
    factors.push(found)
  }
  return factors
}

/** 0 if there is none; also if both columns are 0 throughout. */
function factorBetween(a: Int64Column, b: Int64Column, rowCount: number): number {
  let i = 0
  while (i < rowCount && (a.lo[i]! | a.hi[i]! | b.lo[i]! | b.hi[i]!) === 0) i++
  if (i === rowCount) return 0
  const factor = (b.hi[i]! * TWO32 + b.lo[i]!) / (a.hi[i]! * TWO32 + a.lo[i]!)
  if (!Number.isSafeInteger(factor) || factor === 0) return 0
  let max = 0
  for (; i < rowCount; i++) {
    const product = (a.hi[i]! * TWO32 + a.lo[i]!) * factor
    if (product !== b.hi[i]! * TWO32 + b.lo[i]!) return 0
    if (product > max) max = product
  }
  // Below 2^53 every double is the number that it stands for, on both sides.
  return max <= Number.MAX_SAFE_INTEGER ? factor : 0
}
