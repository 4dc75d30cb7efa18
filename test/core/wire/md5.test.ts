import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { md5 } from '#core/wire/md5.ts'

test('the digest of any bytes is that of everybody else', () => {
  const lengths = fc.constantFrom(0, 1, 55, 56, 57, 63, 64, 65, 119, 120, 1_000)
  fc.assert(
    fc.property(lengths, fc.nat(255), (length, seed) => {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 31 + seed) & 0xff)
      assert.equal(Buffer.from(md5(bytes)).toString('hex'), createHash('md5').update(bytes).digest('hex'))
    }),
    { numRuns: 60 },
  )
})
