import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { MessageBytes } from '#core/ingest/otlp/message-bytes.ts'
import { ProtobufWriter } from '#core/wire/protobuf.ts'

test('messages of any length are what a writer of protobuf makes of them', () => {
  const arbitrary = fc.array(
    fc.record({
      field: fc.integer({ min: 1, max: 15 }),
      number: fc.integer({ min: 0, max: 0xffff_ffff }),
      body: fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.constant(new Uint8Array(20_000).fill(1))),
    }),
    { maxLength: 8 },
  )
  fc.assert(
    fc.property(arbitrary, (messages) => {
      const bytes = new MessageBytes()
      const expected = new ProtobufWriter()
      for (const { field, number, body } of messages) {
        bytes.open(field, body.length + 32)
        bytes.number(1, number)
        bytes.copyNumber(2, Uint8Array.of(9, 0x96, 0x01, 9), 1, 3)
        bytes.copyNumber(3, body, 0, 0)
        bytes.pair(4, number, Uint8Array.of(5), { start: 0, end: 1 })
        bytes.copyBody(body, 0, body.length)
        bytes.close()
        const [message, pair] = [new ProtobufWriter(), new ProtobufWriter()]
        message.varintField(1, number)
        message.varintField(2, 150)
        pair.varintField(1, number)
        pair.varintField(2, 5)
        message.messageField(4, pair)
        message.rawBytes(body)
        expected.messageField(field, message)
      }
      assert.deepEqual(bytes.bytes.slice(0, bytes.length), expected.copyBytes())
    }),
    { numRuns: 60 },
  )
})

test('cleared bytes begin anew', () => {
  const bytes = new MessageBytes()
  bytes.open(6, 1)
  bytes.close()
  bytes.clear()
  assert.equal(bytes.length, 0)
})
