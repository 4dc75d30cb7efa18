import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { GrowingInt64, GrowingUint32, GrowingUint8 } from '#core/wire/growing.ts'

test('a growing column holds what was pushed, in order', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 0xffffffff }), { maxLength: 2000 }), (values) => {
      const column = new GrowingUint32()
      for (const value of values) column.push(value)
      assert.deepEqual([...column.copy()], values)
    }),
    { numRuns: 50 },
  )
})

test('append copies a byte range, short and long', () => {
  const source = Uint8Array.from({ length: 300 }, (_, i) => i & 255)
  const column = new GrowingUint8()
  column.append(source, 10, 20)
  column.append(source, 0, 300)
  assert.deepEqual([...column.copy()], [...source.subarray(10, 20), ...source])
})

test('int64 columns keep both lanes, negative values too', () => {
  const column = new GrowingInt64()
  column.pushBigInt(-1n)
  column.pushBigInt(2n ** 63n - 1n)
  const { lo, hi } = column.copy()
  assert.deepEqual([...lo], [0xffffffff, 0xffffffff])
  assert.deepEqual([...hi], [0xffffffff, 0x7fffffff])
})

test('a column past the largest typed array is refused by name', () => {
  const column = new GrowingUint32()
  assert.throws(() => column.reserve(2 ** 30), /passes 2147483640 bytes/)
})
