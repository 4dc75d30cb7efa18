import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromBinary, toJsonString } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { encodePprof } from '#core/pprof/encode.ts'
import { profileText as profileBytes } from '#core/pprof/profile-text.ts'
import { ProtobufWriter } from '#core/wire/protobuf.ts'
import { ProfileSchema } from '#platform/gen/google/v1/profile_pb.ts'
import { arbitraryProfileSpec, byHand } from '../../support/profiles.ts'

function profileText(pprof: Uint8Array): string {
  return new TextDecoder().decode(profileBytes(pprof))
}

function expected(pprof: Uint8Array): string {
  return toJsonString(ProfileSchema, fromBinary(ProfileSchema, pprof))
}

test('the text is that of the message, whatever the profile', () => {
  fc.assert(
    fc.property(arbitraryProfileSpec(), (spec) => {
      const pprof = encodePprof(spec)
      assert.equal(profileText(pprof), expected(pprof))
    }),
    { numRuns: 200 },
  )
})

test('values that are not packed, empty messages and fields of later versions are read too', () => {
  const pprof = byHand((writer) => {
    const sample = new Uint8Array([
      0x08, 1, 0x08, 2, 0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0x12, 0,
    ])
    writer.bytesField(2, sample)
    writer.bytesField(2, new Uint8Array(0))
    writer.bytesField(11, new Uint8Array(0))
    writer.bytesField(99, sample)
  })
  assert.equal(profileText(pprof), expected(pprof))
  assert.match(profileText(pprof), /"sample":\[\{"locationId":\["1","2"\],"value":\["-1"\]\},\{\}\]/)
  assert.equal(profileText(new Uint8Array(0)), '{}')
})

test('what is no message is data loss', () => {
  for (const bytes of [[0x12, 5, 8], [0x48], [0x12, 2, 0x08, 0x80], [0x12, 3, 0x12, 1, 0x80]]) {
    assert.throws(() => profileText(Uint8Array.from(bytes)), { kind: 'data_loss' })
  }
})

test('every number of digits and every byte of a name', () => {
  const values = [0n, 9n, 10n, 99n, 100n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 53n + 1n, 2n ** 63n - 1n, -1n, -(2n ** 63n)]
  const powers = Array.from({ length: 19 }, (_, i) => 10n ** BigInt(i))
  const names = ['', '"', '\\', '\n\t\u0000', '\u007f', '~ plain', 'é', '\u2028', '😀']
  const writer = new ProtobufWriter()
  const sample = new ProtobufWriter()
  const packed = new ProtobufWriter()
  for (const value of [...values, ...powers, ...powers.map((power) => power - 1n)]) {
    packed.clear()
    packed.varintBigInt(value)
    sample.clear()
    sample.messageField(1, packed)
    sample.messageField(2, packed)
    writer.messageField(2, sample)
  }
  for (const name of names) writer.bytesField(6, new TextEncoder().encode(name))
  writer.varintField(9, 7)
  writer.bytesField(6, new TextEncoder().encode('after others'))
  const pprof = writer.copyBytes()
  assert.equal(profileText(pprof), expected(pprof))
})
