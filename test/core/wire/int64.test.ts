import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  addInt64At,
  allocateInt64Column,
  bigIntsAt,
  getBigInt,
  getNumber,
  setBigInt,
  sliceInt64,
  sumInt64,
} from '#core/wire/int64.ts'

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })

test('set and get are inverse over all of int64', () => {
  fc.assert(
    fc.property(int64, (value) => {
      const column = allocateInt64Column(1)
      setBigInt(column, 0, value)
      assert.equal(getBigInt(column, 0), value)
    }),
  )
})

test('sums and additions equal bigint arithmetic modulo 2^64', () => {
  fc.assert(
    fc.property(fc.array(int64, { maxLength: 50 }), (values) => {
      const column = allocateInt64Column(values.length)
      const accumulator = allocateInt64Column(1)
      values.forEach((value, i) => {
        setBigInt(column, i, value)
        addInt64At(accumulator, 0, column.lo[i]!, column.hi[i]!)
      })
      const expected = BigInt.asIntN(
        64,
        values.reduce((sum, value) => sum + value, 0n),
      )
      assert.equal(sumInt64(column, 0, values.length), expected)
      assert.equal(getBigInt(accumulator, 0), expected)
    }),
  )
})

test('values of rows come in the order of the rows', () => {
  fc.assert(
    fc.property(fc.array(int64, { maxLength: 20 }), (values) => {
      const column = allocateInt64Column(values.length)
      values.forEach((value, i) => setBigInt(column, i, value))
      const rows = values.map((_, i) => values.length - 1 - i)
      assert.deepEqual(bigIntsAt(column, rows), values.toReversed())
    }),
  )
})

test('numbers are exact below 2^53, negative ones too', () => {
  const column = allocateInt64Column(2)
  setBigInt(column, 0, 2n ** 53n - 1n)
  setBigInt(column, 1, -5n)
  assert.equal(getNumber(column, 0), Number.MAX_SAFE_INTEGER)
  assert.equal(getNumber(column, 1), -5)
})

test('a slice owns its values', () => {
  const column = allocateInt64Column(3)
  setBigInt(column, 1, 7n)
  const slice = sliceInt64(column, 1, 2)
  setBigInt(column, 1, 8n)
  assert.equal(getBigInt(slice, 0), 7n)
})
