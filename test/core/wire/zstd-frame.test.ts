import assert from 'node:assert/strict'
import { test } from 'node:test'
import { constants, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { isBoundedZstdFrame } from '#core/wire/zstd-frame.ts'

const compress = (bytes: Uint8Array, params: Record<number, number> = {}): Uint8Array =>
  new Uint8Array(zstdCompressSync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: 1, ...params } }))

const sample = (length: number, noise: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (noise === 0 ? 7 : Math.imul(i, 2654435761) >>> (32 - noise)))

test('what our compressor makes is one frame of its size, and of no other', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 400_000 }), fc.constantFrom(0, 3, 8), (length, noise) => {
      const frame = compress(sample(length, noise))
      assert.equal(isBoundedZstdFrame(frame, length), true)
      assert.equal(isBoundedZstdFrame(frame, length + 1), false)
      assert.equal(isBoundedZstdFrame(frame.subarray(0, frame.length - 1), length), false)
      assert.equal(isBoundedZstdFrame(Uint8Array.of(...frame, 0), length), false)
    }),
    { numRuns: 40 },
  )
})

test('a checksum at the end belongs to the frame', () => {
  const frame = compress(sample(5_000, 3), { [constants.ZSTD_c_checksumFlag]: 1 })
  assert.equal(isBoundedZstdFrame(frame, 5_000), true)
})

test('two frames, a frame without a size, skippable frames and other bytes are refused', () => {
  const frame = compress(sample(300, 3))
  assert.equal(isBoundedZstdFrame(Uint8Array.of(...frame, ...frame), 300), false)
  assert.equal(isBoundedZstdFrame(compress(sample(300, 3), { [constants.ZSTD_c_contentSizeFlag]: 0 }), 300), false)
  assert.equal(isBoundedZstdFrame(Uint8Array.of(0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4), 4), false)
  assert.equal(isBoundedZstdFrame(new Uint8Array(0), 0), false)
  assert.equal(isBoundedZstdFrame(new Uint8Array(20), 0), false)
})

test('a frame of many run-length blocks, which would inflate past its size, is refused', () => {
  // Magic, descriptor (single segment, one byte of size), size 10, then blocks of 128 KiB of one byte.
  const rle = (isLast: boolean): number[] => {
    const header = (isLast ? 1 : 0) | (1 << 1) | ((128 * 1024) << 3)
    return [header & 0xff, (header >>> 8) & 0xff, header >>> 16, 65]
  }
  const bomb = Uint8Array.of(
    0x28,
    0xb5,
    0x2f,
    0xfd,
    0x20,
    10,
    ...Array.from({ length: 50 }, (_, i) => rle(i === 49)).flat(),
  )
  assert.equal(isBoundedZstdFrame(bomb, 10), false)
})
