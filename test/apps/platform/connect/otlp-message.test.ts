/** A request of OTLP that came by gRPC: its bytes as sent, without a copy where that can be, whatever its fields. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromBinary } from '@bufbuild/protobuf'
import { EmptySchema } from '@bufbuild/protobuf/wkt'
import fc from 'fast-check'
import { otlpFromGrpc } from '#platform/connect/otlp-message.ts'
import { buildOtlp } from '../../../support/otlp.ts'

/** As Connect has it: a message within the bytes of its frame. */
function read(message: Uint8Array): { readonly bytes: Uint8Array; readonly isCopy: boolean } {
  const frame = new Uint8Array(message.length + 8)
  frame.set(message, 5)
  const bytes = otlpFromGrpc(fromBinary(EmptySchema, frame.subarray(5, 5 + message.length)))
  return { bytes, isCopy: bytes.buffer !== frame.buffer }
}

test('a request is given on where it lies', () => {
  const profile = { type: ['wall', 'nanoseconds'], samples: [{ stack: ['main'], values: [7n] }] } as const
  const scopes = [{ profiles: [profile, profile] }]
  const message = buildOtlp({ resources: [{ scopes }, { attributes: { 'service.name': 'shop' }, scopes }] })
  const { bytes, isCopy } = read(message)
  assert.deepEqual(bytes, message)
  assert.equal(isCopy, false)
})

test('an empty request, and tags longer than they need be, have the same meaning in a copy', () => {
  assert.deepEqual(read(new Uint8Array(0)).bytes, new Uint8Array(0))
  // Field 1 of two bytes; then with its tag in two bytes instead of one, first and in between.
  const plain = [0x0a, 2, 65, 66]
  const long = [0x8a, 0x00, 2, 65, 66]
  assert.deepEqual(read(Uint8Array.from([...long, ...plain])).bytes, Uint8Array.from([...plain, ...plain]))
  assert.deepEqual(read(Uint8Array.from([...plain, ...long])).bytes, Uint8Array.from([...plain, ...plain]))
})

test('any fields are what they were', () => {
  const varint = fc.tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 0, max: 127 }))
  const text = fc.tuple(fc.integer({ min: 1, max: 40 }), fc.uint8Array({ maxLength: 20 }))
  const tag = (no: number, wireType: number) => {
    const value = (no << 3) | wireType
    return value < 128 ? [value] : [(value & 127) | 128, value >> 7]
  }
  fc.assert(
    fc.property(fc.array(fc.oneof(varint, text), { maxLength: 10 }), (fields) => {
      const message = fields.flatMap(([no, value]) =>
        typeof value === 'number' ? [...tag(no, 0), value] : [...tag(no, 2), value.length, ...value],
      )
      const { bytes, isCopy } = read(Uint8Array.from(message))
      assert.deepEqual(bytes, Uint8Array.from(message))
      assert.equal(isCopy, fields.length === 0 || fields.some(([no]) => no > 15))
    }),
  )
})
