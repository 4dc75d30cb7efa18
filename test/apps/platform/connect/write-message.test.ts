/** The message by pieces is the message of the generated encoder, and holds no profile a second time. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, equals, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import * as fc from 'fast-check'
import type { WriteRequest } from '#core/rpc/segment-writer.ts'
import { encodeWriteRequest, withDictionaries } from '#platform/connect/write-message.ts'
import { WriteRequestSchema } from '#platform/gen/cinder/v1/segment_writer_pb.ts'

const arbitraryRequest: fc.Arbitrary<WriteRequest> = fc.record({
  tenant: fc.string({ unit: 'grapheme' }),
  series: fc.array(
    fc.record(
      {
        labels: fc.array(fc.record({ name: fc.string(), value: fc.string({ unit: 'grapheme' }) }), { maxLength: 3 }),
        profiles: fc.array(
          fc.record({
            bytes: fc.oneof(
              fc.uint8Array({ maxLength: 300 }),
              fc.constantFrom(16_383, 16_384, 70_000).map((length) => new Uint8Array(length).fill(length & 0xff)),
            ),
            clientId: fc.oneof(fc.constant(''), fc.uuid()),
          }),
          { maxLength: 3 },
        ),
        ingest: fc.record(
          {
            spyName: fc.string(),
            fromNanos: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
            sampleTypeConfig: fc.uint8Array({ maxLength: 200 }),
            format: fc.constantFrom('', 'jfr', 'groups'),
            app: fc.string(),
            untilNanos: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
            sampleRate: fc.constantFrom(0, 1, 100, 2 ** 31),
            recordingLabels: fc.uint8Array({ maxLength: 200 }),
          },
          { requiredKeys: ['spyName', 'fromNanos', 'sampleTypeConfig'] },
        ),
      },
      { requiredKeys: ['labels', 'profiles'] },
    ),
    { maxLength: 3 },
  ),
})

test('any request reads back as it was', () => {
  fc.assert(
    fc.property(arbitraryRequest, (request) => {
      const expected = create(WriteRequestSchema, request as MessageInitShape<typeof WriteRequestSchema>)
      const bytes = Buffer.concat(encodeWriteRequest(request))
      assert.ok(equals(WriteRequestSchema, fromBinary(WriteRequestSchema, bytes), expected))
      assert.equal(bytes.length, toBinary(WriteRequestSchema, expected).length)
    }),
  )
})

test('large profiles are views, small ones are copied', () => {
  const large = new Uint8Array(100_000)
  const small = new Uint8Array(100)
  const profiles = [small, large, small].map((bytes) => ({ bytes, clientId: 'id' }))
  const pieces = encodeWriteRequest({ tenant: 't', series: [{ labels: [], profiles }] })
  assert.equal(pieces.length, 3)
  assert.equal(pieces[1], large)
  assert.ok(pieces.every((piece) => piece.buffer !== small.buffer))
})

test('a dictionary that series share travels once, and is one object again', () => {
  const dictionaries = [new Uint8Array(50_000).fill(1), Uint8Array.of(2, 3)]
  const form = (dictionary?: Uint8Array) => {
    const ingest = { spyName: '', fromNanos: 0n, sampleTypeConfig: new Uint8Array(0), format: 'otlp-1.10' }
    return { labels: [], profiles: [], ingest: { ...ingest, ...(dictionary && { dictionary }) } }
  }
  const series = [form(dictionaries[0]), form(dictionaries[1]), form(dictionaries[0]), form()]
  const bytes = Buffer.concat(encodeWriteRequest({ tenant: 't', series }))
  assert.ok(bytes.length < 51_000, String(bytes.length))
  const received = withDictionaries(fromBinary(WriteRequestSchema, bytes))
  const forms = received.series.map(({ ingest }) => ingest!)
  assert.deepEqual(
    forms.map(({ dictionary }) => dictionary && [...dictionary]),
    series.map(({ ingest }) => ingest.dictionary && [...ingest.dictionary]),
  )
  assert.equal(forms[2]!.dictionary, forms[0]!.dictionary)
  const wrong = create(WriteRequestSchema, { series: [{ ingest: { dictionaryNumber: 3 } }] })
  assert.throws(() => withDictionaries(wrong), /there is no dictionary 3 in the request, which has 0/)
})
