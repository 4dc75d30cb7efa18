import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodePart, listOf, PartReader } from '#core/query/part-columns.ts'

test('head and columns survive, wherever the bytes lie', () => {
  for (const head of [{}, { text: 'é' }, { text: 'ab' }, { text: 'abcdefghijk' }]) {
    const part = encodePart(head, [Float64Array.of(1.5, -0), BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n)])
    for (const shift of [0, 1, 3, 8]) {
      const around = new Uint8Array(part.length + shift + 5)
      around.set(part, shift)
      const reader = new PartReader(around.subarray(shift, shift + part.length))
      assert.deepEqual(reader.head, head)
      assert.deepEqual([...reader.doubles(2)], [1.5, -0])
      assert.deepEqual([...reader.integers(2)], [-(2n ** 63n), 2n ** 63n - 1n])
    }
  }
})

test('a list is a range of a column', () => {
  assert.deepEqual(listOf(Float64Array.of(1, 2, 3, 4), 1, 3), [2, 3])
})
