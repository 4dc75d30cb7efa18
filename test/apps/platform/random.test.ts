import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRandom } from '#platform/random.ts'

test('10,000 ids of 16 bytes are distinct across refills of the pool', () => {
  const random = createRandom()
  const seen = new Set(Array.from({ length: 10_000 }, () => Buffer.from(random.bytes(16)).toString('hex')))
  assert.equal(seen.size, 10_000)
})

test('any count works, and the caller owns what it gets', () => {
  const random = createRandom()
  for (const count of [0, 1, 4095, 4096, 4097, 100_000]) assert.equal(random.bytes(count).length, count)
  const first = random.bytes(16)
  const copy = first.slice()
  for (let i = 0; i < 1000; i++) random.bytes(16)
  assert.deepEqual(first, copy)
  assert.equal(random.bytes(16).buffer.byteLength, 16)
})
