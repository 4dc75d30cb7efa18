import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { CinderError } from '#core/errors.ts'
import { createCodec } from '#platform/codec.ts'

const codec = createCodec()
const text = (value: string) => new TextEncoder().encode(value)

function failure(run: () => unknown): CinderError {
  try {
    run()
  } catch (error) {
    assert.ok(error instanceof CinderError, String(error))
    return error
  }
  return assert.fail('it succeeded')
}

test('gzip and zstd give back any bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5000 }), (bytes) => {
      assert.deepEqual(codec.gunzip(codec.gzip(bytes), bytes.length), bytes)
      assert.deepEqual(codec.zstdDecompress(codec.zstdCompress(bytes), bytes.length), bytes)
    }),
    { numRuns: 100 },
  )
})

test('outputs are plain arrays: slice copies', () => {
  const out = codec.gunzip(codec.gzip(text('abc')), 10)
  assert.equal(Object.getPrototypeOf(out), Uint8Array.prototype)
  out.slice(0, 1)[0] = 0
  assert.equal(out[0], 97)
})

test('gunzip inflates every member, up to exactly its bound', () => {
  const two = new Uint8Array([...gzipSync('hello '), ...gzipSync('world')])
  assert.deepEqual(codec.gunzip(two, 11), text('hello world'))
  const error = failure(() => codec.gunzip(two, 10))
  assert.equal(error.kind, 'invalid_argument')
  assert.equal(error.reason, 'profile_size_limit')
  assert.match(error.message, /allowed 10 bytes/)
})

test('every truncation of a stream, and a flipped byte, is a malformed profile', () => {
  const whole = new Uint8Array(gzipSync('some text that is long enough to have a body'))
  for (let length = 0; length < whole.length; length++) {
    const error = failure(() => codec.gunzip(whole.subarray(0, length), 1000))
    assert.equal(error.reason, 'malformed_profile', `cut at ${length}`)
  }
  const flipped = whole.slice()
  flipped[whole.length - 6] = (flipped[whole.length - 6] as number) ^ 1
  assert.equal(failure(() => codec.gunzip(flipped, 1000)).reason, 'malformed_profile')
  assert.equal(failure(() => codec.gunzip(text('not gzip at all'), 1000)).reason, 'malformed_profile')
})

test('a bomb of 4 GiB costs memory below twice the bound (H7)', () => {
  const member = gzipSync(new Uint8Array(64 << 20))
  const bomb = new Uint8Array(member.length * 64)
  for (let i = 0; i < 64; i++) bomb.set(member, i * member.length)
  const bound = 50 << 20
  const before = process.resourceUsage().maxRSS
  assert.equal(failure(() => codec.gunzip(bomb, bound)).reason, 'profile_size_limit')
  const growthBytes = (process.resourceUsage().maxRSS - before) * 1024
  assert.ok(growthBytes < 2 * bound, `grew by ${growthBytes} bytes`)
})

test('what other gzip readers read is what was written', () => {
  assert.deepEqual(new Uint8Array(gunzipSync(codec.gzip(text('plain')))), text('plain'))
})

test('a zstd frame of another size, cut or broken is data loss', () => {
  const frame = codec.zstdCompress(text('0123456789'))
  for (const size of [0, 9, 11]) assert.equal(failure(() => codec.zstdDecompress(frame, size)).kind, 'data_loss')
  assert.equal(failure(() => codec.zstdDecompress(frame.subarray(0, 8), 10)).kind, 'data_loss')
  assert.equal(failure(() => codec.zstdDecompress(text('junk'), 10)).kind, 'data_loss')
})
