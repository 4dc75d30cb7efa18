import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDigest } from '#platform/digest.ts'

const digest = createDigest()
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

const KNOWN = {
  empty: '64ce21f217f362b128607bb6d5c71641',
  word: '4d7c0c9e07a327b60ec884cd3a746c07',
  long: '0a712821d52e3023fb2632a226a88339',
}

test('known answers: digests are stored, so they may never change', () => {
  assert.equal(hex(digest.digest128(new Uint8Array(0))), KNOWN.empty)
  assert.equal(hex(digest.digest128(new TextEncoder().encode('cinderblock'))), KNOWN.word)
  assert.equal(hex(digest.digest128(new Uint8Array(1000).map((_, i) => i & 0xff))), KNOWN.long)
})

// xxHash3 has a path each for up to 16, 128, 240 and more bytes.
test('one flipped bit changes both halves, at every length class', () => {
  for (const length of [1, 3, 8, 16, 17, 128, 129, 240, 241, 1024, 5000]) {
    const bytes = new Uint8Array(length).map((_, i) => i * 7)
    const before = hex(digest.digest128(bytes))
    assert.notEqual(before.slice(0, 16), before.slice(16), `both seeds agree at ${length}`)
    for (const at of [0, length >> 1, length - 1]) {
      const changed = bytes.slice()
      changed[at] = (changed[at] as number) ^ 1
      const after = hex(digest.digest128(changed))
      assert.notEqual(after.slice(0, 16), before.slice(0, 16))
      assert.notEqual(after.slice(16), before.slice(16))
    }
  }
})

test('a view hashes its own bytes, and zeros of different lengths differ', () => {
  const whole = new Uint8Array(100).map((_, i) => i)
  assert.deepEqual(digest.digest128(whole.subarray(10, 20)), digest.digest128(whole.slice(10, 20)))
  const seen = new Set(Array.from({ length: 300 }, (_, length) => hex(digest.digest128(new Uint8Array(length)))))
  assert.equal(seen.size, 300)
})
