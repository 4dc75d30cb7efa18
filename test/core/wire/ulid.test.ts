import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isUlid, makeUlid, ulidTimeMs } from '#core/wire/ulid.ts'

const random = fc.uint8Array({ minLength: 10, maxLength: 10 })
const timeMs = fc.integer({ min: 0, max: 2 ** 48 - 1 })

test('the vector of the specification', () => {
  assert.equal(makeUlid(1_469_918_176_385, new Uint8Array(10)), '01ARYZ6S410000000000000000')
  assert.equal(makeUlid(2 ** 48 - 1, new Uint8Array(10).fill(255)), '7ZZZZZZZZZZZZZZZZZZZZZZZZZ')
})

test('valid, sorted by time then by randomness, and the time comes back', () => {
  fc.assert(
    fc.property(timeMs, timeMs, random, random, (a, b, first, second) => {
      const x = makeUlid(a, first)
      const y = makeUlid(b, second)
      assert.ok(isUlid(x))
      assert.equal(ulidTimeMs(x), a)
      const tail = Buffer.compare(first, second)
      assert.equal(Math.sign(x < y ? -1 : x > y ? 1 : 0), Math.sign(a - b || tail))
    }),
  )
})

test('other texts are not ULIDs', () => {
  for (const text of [
    '',
    '01ARYZ6S41000000000000000',
    '01ARYZ6S4100000000000000000',
    '01aryz6s410000000000000000',
    '81ARYZ6S410000000000000000',
    '01ARYZ6S41000000000000000U',
  ])
    assert.equal(isUlid(text), false, text)
  assert.throws(() => ulidTimeMs('x'), /not a ULID/)
  assert.throws(() => makeUlid(-1, new Uint8Array(10)), /negative/)
  assert.throws(() => makeUlid(2 ** 48, new Uint8Array(10)), /48 bits/)
  assert.throws(() => makeUlid(0, new Uint8Array(9)), /random bytes/)
})
