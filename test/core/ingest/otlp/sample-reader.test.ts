import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LAYOUT_1_10, LAYOUT_1_9 } from '#core/ingest/otlp/sample-layout.ts'
import { SampleReader } from '#core/ingest/otlp/sample-reader.ts'
import { ProtobufWriter, WIRE_FIXED64, WIRE_VARINT } from '#core/wire/protobuf.ts'

function messageOf(
  write: (out: ProtobufWriter, list: (field: number, ...values: bigint[]) => void) => void,
): Uint8Array {
  const out = new ProtobufWriter()
  write(out, (field, ...values) => {
    const packed = new ProtobufWriter()
    for (const value of values) packed.varintBigInt(value)
    out.messageField(field, packed)
  })
  return out.copyBytes()
}

test('both layouts, packed or not', () => {
  const current = new SampleReader(LAYOUT_1_10)
  const packed = messageOf((out, list) => {
    out.varintField(1, 5)
    list(2, 7n, 300n)
    out.varintField(3, 2)
    list(4, 3n, 4n)
  })
  current.read(packed, 0, packed.length)
  assert.deepEqual([current.stack, current.link, current.sum, current.valueCount], [5, 2, 7, 2])
  assert.deepEqual(current.attributes, [7, 300])
  const old = new SampleReader(LAYOUT_1_9)
  const bare = messageOf((out) => {
    for (const value of [3, 4]) {
      out.tag(2, WIRE_VARINT)
      out.varint(value)
    }
    out.varintField(3, 9)
    out.varintField(4, 1)
    out.tag(5, WIRE_FIXED64)
    out.fixed64(1n)
  })
  old.read(bare, 0, bare.length)
  assert.deepEqual([old.stack, old.link, old.sum, old.timestamps], [0, 1, 7, 1])
  assert.deepEqual(old.attributes, [9])
})

test('sums go on past what a number holds', () => {
  const reader = new SampleReader(LAYOUT_1_10)
  const sumOf = (...values: bigint[]) => {
    const bytes = messageOf((_, list) => list(4, ...values))
    reader.read(bytes, 0, bytes.length)
    return reader.bigSum ?? BigInt(reader.sum)
  }
  assert.equal(sumOf(2n ** 53n - 1n), 2n ** 53n - 1n)
  assert.equal(sumOf(2n ** 53n - 1n, 1n), 2n ** 53n)
  assert.equal(sumOf(-5n, 2n), -3n)
  assert.equal(sumOf(2n ** 63n - 1n), 2n ** 63n - 1n)
})

test('what ends early is refused', () => {
  const reader = new SampleReader(LAYOUT_1_10)
  const read = (...bytes: number[]) => reader.read(Uint8Array.from(bytes), 0, bytes.length)
  assert.throws(() => read(0x2a, 3, 1, 2, 3), /timestamps of a sample end early/)
  assert.throws(() => read(0x22, 1, 0x80), /a sample is no protobuf/)
  assert.throws(() => read(0x12, 1, 0x80), /a sample is no protobuf/)
  assert.throws(() => read(0x08), /a sample is no protobuf/)
})
