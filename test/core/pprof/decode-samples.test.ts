import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Cursor, FAULT_POSITION } from '#core/pprof/cursor.ts'
import { SampleColumns } from '#core/pprof/decode-samples.ts'
import { DIRECT_ID_LIMIT, WideIds } from '#core/pprof/id-table.ts'
import { getBigInt } from '#core/wire/int64.ts'
import { ProtobufWriter } from '#core/wire/protobuf.ts'

function read(samples: SampleColumns, bytes: Uint8Array, wide = new WideIds()): number {
  const cursor = new Cursor()
  cursor.begin(bytes)
  return samples.read(cursor, wide, 0, bytes.length)
}

function packed(...values: bigint[]): ProtobufWriter {
  const writer = new ProtobufWriter()
  for (const value of values) writer.varintBigInt(value)
  return writer
}

const LENGTHS = [1n, 127n, 128n, 16_383n, 16_384n, 2_097_151n, 2_097_152n, 2n ** 28n, 2n ** 63n]

test('ids of every varint length, packed and not, in one sample', () => {
  const samples = new SampleColumns()
  samples.begin()
  const out = new ProtobufWriter()
  out.messageField(1, packed(...LENGTHS))
  for (const id of LENGTHS) out.varintField(1, id)
  const wide = new WideIds()
  assert.equal(read(samples, out.copyBytes(), wide), out.length)
  const once = [1, 127, 128, 16_383, 16_384, 2_097_151, DIRECT_ID_LIMIT, DIRECT_ID_LIMIT + 1, DIRECT_ID_LIMIT + 2]
  assert.deepEqual(Array.from(samples.location.subarray(0, 18)), [...once, ...once])
  assert.equal(samples.depthMax, 18)
})

test('values of every varint length, packed and not', () => {
  const samples = new SampleColumns()
  samples.begin()
  const values = [...LENGTHS, -1n, 0n]
  const out = new ProtobufWriter()
  out.messageField(2, packed(...values))
  out.tag(2, 0)
  out.varintBigInt(-2n)
  assert.equal(read(samples, out.copyBytes()), out.length)
  const expected = [...values, -2n].map((value) => BigInt.asIntN(64, value))
  assert.deepEqual(
    expected.map((_, i) => getBigInt(samples.value, i)),
    expected,
  )
  assert.equal(samples.valueStart[1], expected.length)
})

test('a packed field of more than 127 bytes has a length of two bytes', () => {
  const samples = new SampleColumns()
  samples.begin()
  const out = new ProtobufWriter()
  out.messageField(1, packed(...Array.from({ length: 300 }, (_, i) => BigInt(i))))
  assert.equal(read(samples, out.copyBytes()), out.length)
  assert.equal(samples.location[299], 299)
})

test('ranges follow each other while the columns grow', () => {
  const samples = new SampleColumns()
  samples.begin()
  for (let i = 0; i < 5_000; i++) {
    const out = new ProtobufWriter()
    out.messageField(1, packed(...Array.from({ length: i % 7 }, (_, k) => BigInt(i + k))))
    out.messageField(2, packed(BigInt(i), -BigInt(i)))
    if (i % 3 === 0) out.bytesField(3, new Uint8Array([0x08, 1, 0x10, i % 100, 0x18, 5, 0x20, 2]))
    assert.equal(read(samples, out.copyBytes()), out.length)
  }
  let location = 0
  let label = 0
  for (let i = 0; i < 5_000; i++) {
    assert.equal(samples.locationStart[i], location)
    assert.equal(samples.labelStart[i], label)
    if (i % 7 > 0) assert.equal(samples.location[location], i)
    assert.deepEqual([getBigInt(samples.value, 2 * i), getBigInt(samples.value, 2 * i + 1)], [BigInt(i), -BigInt(i)])
    location += i % 7
    if (i % 3 === 0) assert.equal(samples.labelString[label++], i % 100)
  }
  assert.deepEqual([samples.count, samples.labelsMax, samples.depthMax], [5_000, 1, 6])
})

test('begin forgets the samples of the profile before', () => {
  const samples = new SampleColumns()
  samples.begin()
  read(samples, new Uint8Array([0x0a, 2, 1, 2, 0x1a, 0]))
  samples.begin()
  assert.deepEqual([samples.count, samples.depthMax, samples.labelsMax], [0, 0, 0])
  read(samples, new Uint8Array([0x0a, 1, 9]))
  assert.deepEqual([samples.locationStart[1], samples.location[0]], [1, 9])
})

test('a label that ends inside a varint is a fault', () => {
  const samples = new SampleColumns()
  samples.begin()
  assert.equal(read(samples, new Uint8Array([0x1a, 2, 0x08, 0x80])), FAULT_POSITION)
})
