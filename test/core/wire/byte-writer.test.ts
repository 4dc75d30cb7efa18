import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteWriter } from '#core/wire/byte-writer.ts'

test('fixed widths are little endian, strings carry their length in bytes', () => {
  const out = new ByteWriter(1)
  out.u8(1)
  out.u16(0x0203)
  out.u32(0xfffefdfc)
  out.string('é')
  out.varint(300)
  assert.deepEqual([...out.copy()], [1, 3, 2, 0xfc, 0xfd, 0xfe, 0xff, 2, 0xc3, 0xa9, 0xac, 0x02])
  assert.equal(out.length, 12)
})

test('a view follows the writer, a copy does not', () => {
  const out = new ByteWriter()
  out.u8(1)
  const copy = out.copy()
  out.u8(2)
  assert.deepEqual([...copy], [1])
  assert.deepEqual([...out.view()], [1, 2])
})

test('numbers outside their type are refused', () => {
  const out = new ByteWriter()
  assert.throws(() => out.varint(-1), /uint32/)
  assert.throws(() => out.varint(2 ** 32), /uint32/)
  assert.throws(() => out.safeInteger(-1), /non-negative/)
  assert.throws(() => out.safeInteger(2 ** 53), /safe integer/)
  assert.throws(() => out.signedInteger(2 ** 52), /2\^52/)
  assert.throws(() => out.signedInteger(0.5), /integer/)
})
