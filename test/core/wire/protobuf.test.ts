import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { ProtobufReader, ProtobufWriter } from '#core/wire/protobuf.ts'

const bytesOf = (...bytes: number[]): Uint8Array => new Uint8Array(bytes)

/** 0 at the end. */
function nextField(reader: ProtobufReader): number {
  return reader.next() ? reader.field : 0
}

function readVarint(bytes: Uint8Array): { value: bigint; signed: bigint; fault: string | undefined; position: number } {
  const reader = new ProtobufReader(bytes)
  reader.varint()
  return { value: reader.uint64(), signed: reader.int64(), fault: reader.fault, position: reader.position }
}

test('varints keep all 64 bits, both ways', () => {
  const cases: [bigint, number][] = [
    [0n, 1],
    [127n, 1],
    [128n, 2],
    [2n ** 14n - 1n, 2],
    [2n ** 21n, 4],
    [2n ** 28n - 1n, 4],
    [2n ** 28n, 5],
    [2n ** 32n - 1n, 5],
    [2n ** 32n, 5],
    [2n ** 35n, 6],
    [2n ** 53n + 1n, 8],
    [2n ** 63n - 1n, 9],
    [2n ** 64n - 1n, 10],
  ]
  for (const [value, length] of cases) {
    const writer = new ProtobufWriter(1)
    writer.varintBigInt(value)
    assert.equal(writer.length, length, `${value}`)
    const read = readVarint(writer.copyBytes())
    assert.deepEqual([read.value, read.fault, read.position], [value, undefined, length])
  }
})

test('property: any int64 comes back, as number and as bigint', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.maxSafeNat(), (big, small) => {
      const writer = new ProtobufWriter()
      writer.varintBigInt(big)
      const length = writer.length
      writer.varint(small)
      const reader = new ProtobufReader(writer.copyBytes())
      assert.ok(reader.varint())
      assert.equal(reader.int64(), big)
      assert.equal(reader.position, length)
      assert.ok(reader.varint())
      assert.equal(reader.uint64(), BigInt(small))
    }),
  )
})

test('a message with every wire type comes back', () => {
  const nested = new ProtobufWriter()
  nested.varintField(3, 7n)
  const writer = new ProtobufWriter()
  writer.varintField(1, -1n)
  writer.tag(2, 1)
  writer.fixed64(2n ** 63n)
  writer.tag(3, 5)
  writer.fixed32(0xfffffffe)
  writer.stringField(4, 'größe')
  writer.messageField(500_000, nested)
  const reader = new ProtobufReader(writer.copyBytes())
  assert.equal(nextField(reader), 1)
  assert.ok(reader.varint())
  assert.equal(reader.int64(), -1n)
  assert.equal(nextField(reader), 2)
  assert.equal(reader.wireType, 1)
  assert.ok(reader.fixed64())
  assert.equal(reader.uint64(), 2n ** 63n)
  assert.equal(nextField(reader), 3)
  assert.ok(reader.fixed32())
  assert.equal(reader.uint64(), 0xfffffffen)
  assert.equal(nextField(reader), 4)
  assert.equal(new TextDecoder().decode(reader.bytes()), 'größe')
  assert.equal(nextField(reader), 500_000)
  const inner = reader.message()
  assert.ok(inner.next() && inner.varint())
  assert.equal(inner.lo, 7)
  assert.equal(inner.next(), false)
  assert.equal(reader.next(), false)
  assert.equal(reader.fault, undefined)
})

test('skip passes over every wire type and nothing else', () => {
  const writer = new ProtobufWriter()
  writer.varintField(1, 2n ** 60n)
  writer.tag(2, 1)
  writer.fixed64(1n)
  writer.tag(3, 5)
  writer.fixed32(1)
  writer.stringField(4, 'x'.repeat(300))
  writer.varintField(5, 42)
  const reader = new ProtobufReader(writer.copyBytes())
  for (let field = 1; field <= 4; field++) {
    assert.equal(nextField(reader), field)
    assert.ok(reader.skip())
  }
  assert.ok(reader.next() && reader.varint())
  assert.equal(reader.lo, 42)
})

test('zero is not written, and the writer can be cleared', () => {
  const writer = new ProtobufWriter(2)
  writer.varintField(1, 0)
  writer.varintField(1, 0n)
  assert.equal(writer.length, 0)
  writer.stringField(1, 'abc')
  writer.clear()
  writer.varintField(1, 1)
  assert.deepEqual(writer.copyBytes(), bytesOf(8, 1))
})

test('what does not fit is a fault, never a zero', () => {
  const cases: [string, Uint8Array, RegExp][] = [
    ['no bytes', bytesOf(), /truncated varint at byte 0/],
    ['continuation at the end', bytesOf(0x80), /truncated varint/],
    ['eleven bytes', bytesOf(...new Array<number>(10).fill(0x80), 1), /more than 10 bytes/],
  ]
  for (const [name, bytes, expected] of cases) assert.match(readVarint(bytes).fault ?? '', expected, name)
  const messages: [string, Uint8Array, RegExp][] = [
    ['length past the end', bytesOf(0x0a, 5, 1, 2), /length 5 at byte 1 passes the end/],
    ['length of 2^64 - 1', bytesOf(0x0a, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1), /passes the end/],
    ['fixed64 cut', bytesOf(0x09, 1, 2, 3), /truncated value/],
    ['fixed32 cut', bytesOf(0x0d, 1, 2, 3), /truncated value/],
    ['group', bytesOf(0x0b), /group at byte 0/],
    ['end of group', bytesOf(0x0c), /group at byte 0/],
    ['wire type 6', bytesOf(0x0e), /wire type 6/],
    ['field 0', bytesOf(0x02, 0), /field number out of range/],
    ['field 2^29', bytesOf(0x80, 0x80, 0x80, 0x80, 0x10, 0), /field number out of range/],
  ]
  for (const [name, bytes, expected] of messages) {
    const reader = new ProtobufReader(bytes)
    while (reader.next()) reader.skip()
    assert.match(reader.fault ?? '', expected, name)
    assert.equal(reader.next(), false, 'a fault stays')
    assert.equal(reader.bytes().length, 0)
  }
})

test('a nested reader cannot see past its message', () => {
  const reader = new ProtobufReader(bytesOf(0x0a, 2, 0x08, 0x80, 0x01))
  assert.ok(reader.next())
  const inner = reader.message()
  assert.ok(inner.next())
  assert.equal(inner.varint(), false)
  assert.match(inner.fault ?? '', /truncated varint/)
})

test('the writer refuses numbers that a number cannot hold exactly', () => {
  const writer = new ProtobufWriter()
  assert.throws(() => writer.varint(2 ** 53), /safe integer/)
  assert.throws(() => writer.varint(-1), /not negative/)
  assert.throws(() => writer.varint(1.5), /safe integer/)
})

test('property: random bytes never throw and never loop', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const reader = new ProtobufReader(bytes)
      let steps = 0
      while (reader.next()) {
        reader.skip()
        assert.ok(++steps <= bytes.length)
      }
      assert.ok(reader.fault !== undefined || reader.position === bytes.length)
    }),
  )
})

test('a reader begins again with another message; a payload is passed over where it lies', () => {
  const writer = new ProtobufWriter()
  writer.bytesField(1, Uint8Array.of(7, 8, 9))
  writer.varintField(2, 5)
  const raw = writer.copyBytes()
  const reader = new ProtobufReader(raw, 0, 1)
  assert.equal(reader.next(), true)
  assert.deepEqual([reader.payload(), reader.fault === undefined], [reader.position, false])
  reader.begin(raw, 0, raw.length)
  assert.equal(reader.fault, undefined)
  assert.equal(reader.next(), true)
  const at = reader.payload()
  assert.deepEqual([...raw.subarray(at, reader.position)], [7, 8, 9])
  assert.deepEqual([reader.next(), reader.field], [true, 2])
})

test('a range of bytes is appended, short or long', () => {
  const bytes = Uint8Array.from({ length: 300 }, (_, i) => i & 0xff)
  const writer = new ProtobufWriter(4)
  for (const end of [3, 3, 63, 64, 300]) writer.rawRange(bytes, 3, end)
  assert.deepEqual(
    writer.copyBytes(),
    Uint8Array.from([3, 3, 63, 64, 300].flatMap((end) => [...bytes.subarray(3, end)])),
  )
})

test('a reader goes into a message and comes out behind it, however much of it was read', () => {
  const inner = new ProtobufWriter()
  inner.varintField(1, 7)
  inner.varintField(2, 300)
  const out = new ProtobufWriter()
  out.messageField(1, inner)
  out.messageField(2, new ProtobufWriter())
  out.varintField(3, 9)
  const reader = new ProtobufReader(out.copyBytes())
  assert.ok(reader.next())
  const outer = reader.enter()
  assert.ok(reader.next() && reader.varint())
  assert.deepEqual([reader.field, reader.lo], [1, 7])
  reader.leave(outer)
  assert.ok(reader.next())
  const again = reader.enter()
  assert.equal(reader.next(), false)
  reader.leave(again)
  assert.ok(reader.next() && reader.varint())
  assert.deepEqual([reader.field, reader.lo, reader.fault], [3, 9, undefined])
  const cut = new ProtobufReader(Uint8Array.of(0x0a, 5, 1))
  assert.ok(cut.next())
  cut.enter()
  assert.match(cut.fault!, /length 5 at byte 1/)
  assert.equal(cut.next(), false)
})
