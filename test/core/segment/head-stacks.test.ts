import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HeadStacks } from '#core/segment/head-stacks.ts'

test('ids are dense in order of first use, whatever the numbers, and survive growth', () => {
  const stacks = new HeadStacks()
  const numbers = Array.from({ length: 5_000 }, (_, i) => Math.imul(i + 1, 0x9e3779b1) >>> 0)
  assert.deepEqual(
    numbers.map((number) => stacks.idOf(number)),
    numbers.map((_, i) => i),
  )
  assert.deepEqual(
    numbers.toReversed().map((number) => stacks.idOf(number)),
    numbers.map((_, i) => i).toReversed(),
  )
  assert.equal(stacks.known.count, numbers.length)
  assert.deepEqual([...stacks.known.copy()], numbers)
})
