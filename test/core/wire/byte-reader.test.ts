import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CinderError } from '#core/errors.ts'
import { ByteReader } from '#core/wire/byte-reader.ts'
import { ByteWriter } from '#core/wire/byte-writer.ts'
import { setBigInt, allocateInt64Column } from '#core/wire/int64.ts'

function isDataLoss(error: unknown): boolean {
  return error instanceof CinderError && error.kind === 'data_loss' && error.message.startsWith('section x: ')
}

const record = fc.record({
  word: fc.integer({ min: 0, max: 0xffffffff }),
  size: fc.maxSafeNat(),
  time: fc.integer({ min: -(2 ** 52) + 1, max: 2 ** 52 - 1 }),
  text: fc.string({ unit: 'binary' }),
  value: fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }),
  column: fc.array(fc.nat(), { maxLength: 9 }),
  lanes: fc.array(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), { maxLength: 9 }),
})

test('what a writer wrote comes back, and a cut anywhere is data loss', () => {
  fc.assert(
    fc.property(record, (given) => {
      const out = new ByteWriter()
      const lanes = allocateInt64Column(given.lanes.length)
      given.lanes.forEach((value, i) => setBigInt(lanes, i, value))
      const column = Uint32Array.from(given.column)
      out.u32(given.word)
      out.safeInteger(given.size)
      out.signedInteger(given.time)
      out.string(given.text)
      out.bigint64(given.value)
      out.varint(column.length)
      out.deltaColumn32(column, column.length)
      out.varint(given.lanes.length)
      out.deltaColumn64(lanes, given.lanes.length)
      const read = (bytes: Uint8Array): void => {
        const input = new ByteReader(bytes, 'section x')
        assert.equal(input.u32(), given.word)
        assert.equal(input.safeInteger(), given.size)
        assert.equal(input.signedInteger(), given.time)
        assert.equal(input.string(), given.text)
        assert.equal(input.bigint64(), given.value)
        assert.deepEqual(input.deltaColumn32(input.count()), column)
        assert.deepEqual(input.deltaColumn64(input.count()), lanes)
        input.expectEnd()
      }
      const bytes = out.copy()
      read(bytes)
      for (let length = 0; length < bytes.length; length++)
        assert.throws(() => read(bytes.subarray(0, length)), isDataLoss)
    }),
  )
})

test('a count above what is left is refused before anything is allocated', () => {
  const out = new ByteWriter()
  out.varint(0xffffffff)
  assert.throws(() => new ByteReader(out.view(), 'section x').count(), /4294967295 passes the 0 bytes/)
  assert.throws(() => new ByteReader(out.view(), 'section x').column32(6), isDataLoss)
  assert.throws(() => new ByteReader(out.view(), 'section x').column64(6), isDataLoss)
  assert.throws(() => new ByteReader(out.view(), 'section x').string(), isDataLoss)
})

test('text that is not UTF-8, wide integers and left-over bytes are refused', () => {
  assert.throws(() => new ByteReader(Uint8Array.from([1, 0xff]), 'section x').string(), /not UTF-8/)
  assert.throws(() => new ByteReader(new Uint8Array(9).fill(0xff), 'section x').safeInteger(), isDataLoss)
  assert.throws(
    () => new ByteReader(Uint8Array.from([255, 255, 255, 255, 255, 255, 255, 31]), 'section x').safeInteger(),
    /2\^53/,
  )
  assert.throws(() => new ByteReader(new Uint8Array(3), 'section x').expectEnd(), /3 bytes left over/)
})

test('a byte order mark is text like any other', () => {
  const out = new ByteWriter()
  out.string('\ufeffa')
  assert.equal(new ByteReader(out.view(), 'section x').string(), '\ufeffa')
})
