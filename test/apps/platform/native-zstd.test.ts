import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createCodec } from '#platform/codec.ts'
import { nativeZstd } from '#platform/native-zstd.ts'
import type { CinderError } from '#core/errors.ts'

const plain = createCodec()
const native = nativeZstd(plain)
const isDataLoss = (error: CinderError): boolean => error.kind === 'data_loss'

test('it writes the bytes that the other codec writes, and either reads them', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 4_000 }), fc.nat(60), (seed, times) => {
      const raw = Uint8Array.from({ length: seed.length * (times + 1) }, (_, i) => seed[i % seed.length]!)
      const packed = native.zstdCompress(raw)
      assert.deepEqual(packed, plain.zstdCompress(raw))
      assert.deepEqual(native.zstdDecompress(packed, raw.length), raw)
      assert.deepEqual(plain.zstdDecompress(packed, raw.length), raw)
    }),
    { numRuns: 40 },
  )
})

test('another size, two frames and damage are data_loss, as of the codec behind', () => {
  const raw = new Uint8Array(3_000).map((_, i) => (i * i) % 251)
  const packed = native.zstdCompress(raw)
  assert.throws(() => native.zstdDecompress(packed, raw.length - 1), isDataLoss)
  assert.throws(() => native.zstdDecompress(Uint8Array.of(...packed, ...packed), raw.length), isDataLoss)
  assert.throws(() => native.zstdDecompress(packed.subarray(0, 20), raw.length), isDataLoss)
  let refused = 0
  for (let at = 9; at < packed.length; at += 7) {
    const flipped = packed.slice()
    flipped[at]! ^= 0x55
    try {
      assert.equal(native.zstdDecompress(flipped, raw.length).length, raw.length)
    } catch (error) {
      assert.ok(isDataLoss(error as CinderError))
      refused++
    }
  }
  assert.ok(refused > 0)
})
