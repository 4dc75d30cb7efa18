import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dictionaryIdOf } from '#core/block/stack-keys.ts'
import { KnownStacks, UNKNOWN_STACK } from '#core/compaction/known-stacks.ts'

const idOf = (number: number): Uint8Array => dictionaryIdOf(new Uint8Array(6), number)
const keysOf = (dictionary: number, ...numbers: number[]) => ({
  dictionaryId: idOf(dictionary),
  numbers: Uint32Array.from(numbers),
})

test('a number means what it was learned as, in its dictionary alone', () => {
  const known = new KnownStacks()
  assert.equal(known.find(keysOf(1, 4)).unknownCount, 1)
  known.learn(keysOf(1, 4, 0, 9_000), Uint32Array.of(0, 7, 5))
  known.learn(keysOf(2, 4), Uint32Array.of(3))
  assert.deepEqual(known.find(keysOf(1, 9_000, 4, 0)), { stackOf: Uint32Array.of(5, 0, 7), unknownCount: 0 })
  assert.deepEqual(known.find(keysOf(2, 4, 0, 9_000)), {
    stackOf: Uint32Array.of(3, UNKNOWN_STACK, UNKNOWN_STACK),
    unknownCount: 2,
  })
})

test('numbers that no dictionary reaches take no memory, and of many dictionaries the recent ones stay', () => {
  const known = new KnownStacks()
  known.learn(keysOf(0, 0xffffffff, 1), Uint32Array.of(1, 2))
  assert.ok(known.sizeBytes < 4096, `${known.sizeBytes}`)
  assert.deepEqual(known.find(keysOf(0, 0xffffffff, 1)).unknownCount, 1)
  for (let dictionary = 1; dictionary < 16; dictionary++) known.learn(keysOf(dictionary, 1), Uint32Array.of(1))
  known.learn(keysOf(0, 2), Uint32Array.of(3))
  known.learn(keysOf(16, 1), Uint32Array.of(1))
  assert.equal(known.find(keysOf(0, 1, 2)).unknownCount, 0, 'used a moment ago')
  assert.equal(known.find(keysOf(1, 1)).unknownCount, 1, 'the least recent')
})
