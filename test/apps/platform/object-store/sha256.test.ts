import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Sha256 as Reference } from '@aws-crypto/sha256-js'
import { Sha256, sha256Hex } from '#platform/object-store/sha256.ts'

const text = (value: string) => new TextEncoder().encode(value)
const BODIES = [text(''), text('abc'), Uint8Array.from({ length: 1_000 }, (_, i) => (i * 37) & 0xff)]

test('hashes and keyed hashes are those of an independent implementation', async () => {
  for (const secret of [undefined, 'AWS4secret', text('key'), text('long'.repeat(40)), text('k').buffer as ArrayBuffer])
    for (const body of BODIES) {
      const [ours, theirs] = [new Sha256(secret), new Reference(secret)]
      for (const hash of [ours, theirs]) {
        hash.update(body.subarray(0, 10))
        hash.update(body.subarray(10))
      }
      assert.deepEqual(Buffer.from(await ours.digest()), Buffer.from(await theirs.digest()))
    }
})

test('a reset hash begins anew', async () => {
  const hash = new Sha256()
  hash.update(text('something else'))
  hash.reset()
  hash.update(text('abc'))
  assert.equal(Buffer.from(await hash.digest()).toString('hex'), sha256Hex(text('abc')))
  assert.equal(sha256Hex(text('abc')), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
})
