import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { encodePart, listOf, PartReader, rowsOf } from '#core/query/part-columns.ts'

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

const isDamage = (error: unknown) => error instanceof CinderError && error.kind === 'data_loss'

test('bytes that are no part are damage, and nothing else', () => {
  const part = encodePart({ a: 'b' }, [Float64Array.of(1, 2)])
  const without = (start: number, bytes: number[]) => {
    const damaged = part.slice()
    damaged.set(bytes, start)
    return damaged
  }
  const heads = [
    new Uint8Array(0),
    part.subarray(0, 3),
    part.subarray(0, 10),
    without(0, [7]),
    without(0, [255, 255]),
    without(4, [0]),
  ]
  for (const head of heads) assert.throws(() => new PartReader(head), isDamage)
  assert.throws(() => new PartReader(part.subarray(0, part.length - 1)).doubles(2), isDamage)
  assert.throws(() => new PartReader(part).doubles(3), isDamage)
  assert.throws(() => new PartReader(part).integers(3), isDamage)
  // What was left out behind the last column is damage too, as what lies there and nobody reads.
  const reader = new PartReader(part)
  reader.doubles(1)
  assert.throws(() => reader.end(), isDamage)
  reader.doubles(1)
  reader.end()
})

test('rows are counted by lists of whole numbers, one for each series', () => {
  assert.equal(rowsOf([1, 2, 0], 3), 3)
  for (const lengths of [[1], [1, -1], [0.5, 0.5], [1, null], [1, 2, 3], undefined, 'ab', [2 ** 53, 1]]) {
    assert.throws(() => rowsOf(lengths, 2), isDamage, JSON.stringify(lengths))
  }
})
