import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromBinary, toJsonString } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { encodePprof } from '#core/pprof/encode.ts'
import { profileText } from '#core/pprof/profile-text.ts'
import { ProfileSchema } from '#platform/gen/google/v1/profile_pb.ts'
import { arbitraryProfileSpec, byHand } from '../../support/profiles.ts'

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
  for (const bytes of [[0x12, 5, 8], [0x48], [0x12, 2, 0x08, 0x80]]) {
    assert.throws(() => profileText(Uint8Array.from(bytes)), { kind: 'data_loss' })
  }
})
