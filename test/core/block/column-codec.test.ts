import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  decodeNarrow,
  decodeResiduals,
  decodeSparse,
  divideColumn,
  encodeNarrow,
  encodeSparse,
  encodeWide,
  equalRows,
  measureColumn,
  multiplyColumn,
  scratchBytes,
  stackDeltas,
  undoStackDeltas,
} from '#core/block/column-codec.ts'
import { allocateInt64Column, getBigInt, type Int64Column, setBigInt } from '#core/wire/int64.ts'

function columnOf(values: readonly bigint[]): Int64Column {
  const column = allocateInt64Column(values.length)
  values.forEach((value, i) => setBigInt(column, i, value))
  return column
}

const small = fc.nat({ max: 5000 }).map(BigInt)
const exact = fc.bigInt({ min: 0n, max: (1n << 53n) - 1n })
const any = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n })
const values = fc.oneof(
  fc.array(small, { maxLength: 30 }),
  fc
    .tuple(
      fc.oneof(fc.integer({ min: 1, max: 1_000_000_007 }), fc.integer({ min: 2 ** 32, max: 2 ** 40 })),
      fc.array(small, { maxLength: 30 }),
    )
    .map(([f, all]) => all.map((v) => v * BigInt(f))),
  fc.array(exact, { maxLength: 30 }),
  fc.array(fc.oneof(small, exact, any), { maxLength: 30 }),
)

function gcdOf(all: readonly bigint[]): bigint {
  const gcd = (a: bigint, b: bigint): bigint => (b === 0n ? a : gcd(b, a % b))
  return all.reduce(gcd, 0n)
}

test('the divisor is the greatest common one where every value is below 2^53, else 1', () => {
  fc.assert(
    fc.property(values, (given) => {
      const measure = measureColumn(columnOf(given), 0, given.length)
      const wide = given.some((value) => value >= 1n << 53n)
      assert.equal(BigInt(measure.divisor), wide ? 1n : gcdOf(given))
    }),
  )
})

test('values come back through residuals, exact up to 2^64 - 1', () => {
  fc.assert(
    fc.property(values, fc.nat({ max: 3 }), (given, lead) => {
      const count = given.length
      const column = columnOf([...Array.from({ length: lead }, () => 7n), ...given])
      const measure = measureColumn(column, lead, lead + count)
      if (measure.divisor === 0) return
      const residuals = allocateInt64Column(count)
      divideColumn(column, { start: lead, end: lead + count }, measure, residuals)
      const scratch = new Uint8Array(scratchBytes(count))
      const encoded = measure.narrow
        ? encodeNarrow(residuals.lo, count, scratch)
        : encodeWide(residuals, count, scratch)
      const back = allocateInt64Column(count + lead)
      assert.ok(decodeResiduals({ encoding: encoded.encoding, raw: encoded.bytes }, back, lead, count))
      assert.ok(multiplyColumn(back, lead, count, measure.divisor))
      assert.deepEqual(
        given.map((_, i) => getBigInt(back, lead + i)),
        given.map((value) => BigInt.asIntN(64, value)),
      )
    }),
    { numRuns: 300 },
  )
})

test('2^53 is the border of division', () => {
  const border = 1n << 53n
  const measure = (...given: bigint[]) => measureColumn(columnOf(given), 0, given.length)
  assert.deepEqual(measure(border - 2n, 4n), { divisor: 2, narrow: false })
  assert.deepEqual(measure(border, border), { divisor: 1, narrow: false })
  // As doubles both are 2^53 or 2^54: a divisor of 2^53 would lose the last bit.
  assert.deepEqual(measure(border + 1n, 2n * border), { divisor: 1, narrow: false })
  assert.deepEqual(measure(0n, 0n), { divisor: 0, narrow: false })
  assert.deepEqual(measure(7n << 32n, 14n << 32n), { divisor: Number(7n << 32n), narrow: true })
})

test('a product past 2^53 is refused: a writer divides no such column', () => {
  assert.equal(multiplyColumn(columnOf([1n << 31n]), 0, 1, 2 ** 22), false)
  assert.equal(multiplyColumn(columnOf([(1n << 31n) - 1n]), 0, 1, 2 ** 22), true)
})

test('a column that does not use its bytes exactly is refused', () => {
  const out = new Uint32Array(3)
  assert.equal(decodeNarrow(Uint8Array.from([1, 2, 3, 4]), out, 0, 3), false)
  assert.equal(decodeNarrow(Uint8Array.from([1, 2]), out, 0, 3), false)
  assert.equal(decodeNarrow(Uint8Array.from([1, 2, 3]), out, 0, 3), true)
})

test('sparse columns come back, and a bitmap that promises more than its bytes is refused', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof({ weight: 3, arbitrary: fc.constant(0n) }, { weight: 1, arbitrary: any }), { maxLength: 40 }),
      (given) => {
        const column = columnOf(given)
        const raw = encodeSparse(column, 0, given.length, new Uint8Array(scratchBytes(given.length))).bytes
        const back = allocateInt64Column(given.length)
        assert.ok(decodeSparse(raw, back, 0, given.length))
        assert.deepEqual(back, column)
        if (given.some((value) => value !== 0n))
          assert.equal(
            decodeSparse(raw.subarray(0, raw.length - 1), allocateInt64Column(given.length), 0, given.length),
            false,
          )
      },
    ),
  )
})

test('stack ids restart at every header, and one past the stacks is refused', () => {
  const ids = Uint32Array.from([9, 3, 5, 5, 0, 70_000])
  const lengths = Uint32Array.from([3, 0, 2])
  const out = new Uint32Array(5)
  stackDeltas(ids, 1, lengths, out)
  assert.deepEqual([...out], [3, 2, 0, 0, 70_000])
  assert.equal(undoStackDeltas(out.slice(), 0, lengths, 70_000), false)
  assert.equal(undoStackDeltas(out, 0, lengths, 70_001), true)
  assert.deepEqual([...out], [3, 5, 5, 0, 70_000])
})

test('equal rows', () => {
  assert.ok(equalRows(Uint32Array.from([1, 2]), Uint32Array.from([1, 2, 3]), 2))
  assert.ok(!equalRows(Uint32Array.from([1, 2]), Uint32Array.from([1, 3]), 2))
})
