import assert from 'node:assert/strict'
import { gunzipSync } from 'node:zlib'
import { test } from 'node:test'
import fc from 'fast-check'
import { createCodec } from '#platform/codec.ts'
import { nativeGzip } from '#platform/native-gzip.ts'

test('what it packs others inflate', () => {
  const { gzip } = nativeGzip(createCodec())
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2_000 }), (bytes) => {
      assert.deepEqual(new Uint8Array(gunzipSync(gzip(bytes))), bytes)
    }),
  )
  const text = new TextEncoder().encode(
    JSON.stringify(Array.from({ length: 20_000 }, (_, i) => ({ name: `f${i % 97}`, i }))),
  )
  const packed = gzip(text)
  assert.deepEqual(new Uint8Array(gunzipSync(packed)), text)
  assert.ok(packed.length < createCodec().gzip(text).length * 1.1, `${packed.length} bytes`)
})
