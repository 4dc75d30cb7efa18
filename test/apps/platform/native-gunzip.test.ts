import assert from 'node:assert/strict'
import { test } from 'node:test'
import { constants, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { CinderError } from '#core/errors.ts'
import { createCodec } from '#platform/codec.ts'
import { nativeGunzip } from '#platform/native-gunzip.ts'

const behind = createCodec()
/** How often the codec behind was asked. */
let asked = 0
const codec = nativeGunzip({
  ...behind,
  gunzip(bytes, maxOutputBytes) {
    asked++
    return behind.gunzip(bytes, maxOutputBytes)
  },
})

const text = (value: string) => new TextEncoder().encode(value)
const join = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts))

/** What the call gives, or why it fails, and whether the codec behind was asked. */
function outcome(of: typeof behind, bytes: Uint8Array, bound: number): unknown {
  try {
    return of.gunzip(bytes, bound)
  } catch (error) {
    assert.ok(error instanceof CinderError, String(error))
    return [error.reason, error.message]
  }
}

function assertEqualOutcome(bytes: Uint8Array, bound: number, isAskedBehind: boolean): void {
  const before = asked
  const got = outcome(codec, bytes, bound)
  assert.equal(asked > before, isAskedBehind, 'who inflated')
  assert.deepEqual(got, outcome(behind, bytes, bound))
}

test('small streams of one member are inflated without the codec behind, to plain arrays', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3_000 }), fc.constantFrom(1, 6, 9), (bytes, level) => {
      assertEqualOutcome(new Uint8Array(gzipSync(bytes, { level })), bytes.length, false)
    }),
    { numRuns: 100 },
  )
  const stored = new Uint8Array(gzipSync(text('stored'), { level: constants.Z_NO_COMPRESSION }))
  assertEqualOutcome(stored, 6, false)
  const inflated = codec.gunzip(stored, 6)
  assert.equal(Object.getPrototypeOf(inflated), Uint8Array.prototype)
  inflated.slice(0, 1)[0] = 0
  assert.equal(inflated[0], 0x73)
})

test('all members count, also equal ones, and their sum has the bound', () => {
  const hello = gzipSync('hello ')
  assertEqualOutcome(join(hello, gzipSync('world')), 11, true)
  assertEqualOutcome(join(hello, hello), 12, true)
  assertEqualOutcome(join(hello, hello), 11, true)
  assert.deepEqual(codec.gunzip(join(hello, hello), 12), text('hello hello '))
})

test('what passes the bound, says so or not, is refused as behind', () => {
  const bytes = new Uint8Array(gzipSync(new Uint8Array(100_000)))
  assertEqualOutcome(bytes, 100_000, false)
  assertEqualOutcome(bytes, 99_999, true)
  const liar = bytes.slice()
  new DataView(liar.buffer).setUint32(liar.length - 4, 10, true)
  assertEqualOutcome(liar, 1_000, true)
  assertEqualOutcome(liar, 200_000, true)
  // Its stated size is that of the zeros behind it.
  assertEqualOutcome(join(bytes, new Uint8Array(8)), 200_000, true)
  assertEqualOutcome(join(bytes, new Uint8Array(8)), 99_999, true)
})

test('every truncation and every flipped byte has the outcome of the codec behind', () => {
  const whole = new Uint8Array(gzipSync('some text that is long enough to have a body'))
  for (let length = 0; length < whole.length; length++)
    assert.deepEqual(
      outcome(codec, whole.subarray(0, length), 1_000),
      outcome(behind, whole.subarray(0, length), 1_000),
    )
  for (let at = 0; at < whole.length; at++) {
    const flipped = whole.slice()
    flipped[at]! ^= 0x10
    assert.deepEqual(outcome(codec, flipped, 1_000), outcome(behind, flipped, 1_000), `byte ${at}`)
  }
})

test('what libdeflate passes over is judged behind: bytes behind the member, a wrong checksum of the header', () => {
  const whole = new Uint8Array(gzipSync('some text'))
  assertEqualOutcome(join(whole, Uint8Array.of(7, 8, 0, 0, 0, 0)), 1_000, true)
  const header = Uint8Array.of(...whole.subarray(0, 3), 2, ...whole.subarray(4, 10), 0xbe, 0xef)
  assertEqualOutcome(join(header, whole.subarray(10)), 1_000, true)
})

test('what is larger than a bomb may be goes behind', () => {
  const noise = new Uint8Array(70_000)
  let seed = 1
  for (let i = 0; i < noise.length; i++) {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
    noise[i] = seed >>> 24
  }
  assertEqualOutcome(new Uint8Array(gzipSync(noise)), noise.length, true)
  assertEqualOutcome(new Uint8Array(gzipSync(noise.subarray(0, 50_000))), noise.length, false)
})
