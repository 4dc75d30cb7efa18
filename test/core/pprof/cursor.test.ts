import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { Cursor, FAULT_POSITION } from '#core/pprof/cursor.ts'
import { ProtobufReader, ProtobufWriter } from '#core/wire/protobuf.ts'

function cursorOver(...bytes: number[]): Cursor {
  const cursor = new Cursor()
  cursor.begin(new Uint8Array(bytes))
  return cursor
}

test('property: varints read as the plain reader reads them', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (value) => {
      const writer = new ProtobufWriter()
      writer.varintBigInt(value)
      const cursor = cursorOver(...writer.copyBytes())
      assert.equal(cursor.varint(0), writer.length)
      assert.equal((BigInt(cursor.hi) << 32n) | BigInt(cursor.lo), value)
    }),
  )
})

test('a varint that the array ends in is past the end; one of eleven bytes is a fault', () => {
  for (const length of [1, 3, 5, 9]) assert.ok(cursorOver(...new Array<number>(length).fill(0x80)).varint(0) > length)
  const cursor = cursorOver(...new Array<number>(11).fill(0x80))
  assert.equal(cursor.varint(0), FAULT_POSITION)
  assert.match(cursor.fault ?? '', /more than 10 bytes at byte 0/)
})

test('a length must fit before the end of its message, not of the array', () => {
  assert.equal(cursorOver(2, 9, 9).length(0, 3), 1)
  assert.equal(cursorOver(2, 9, 9, 9).length(0, 2), FAULT_POSITION)
  assert.equal(cursorOver(255, 255, 255, 255, 255, 1, 0).length(0, 7), FAULT_POSITION)
})

test('skip passes unknown fields and refuses known ones of the wrong type', () => {
  const cases: [string, number[], number][] = [
    ['varint', [0x28, 0x80, 1], 3],
    ['fixed64', [0x29, 1, 2, 3, 4, 5, 6, 7, 8], 9],
    ['fixed32', [0x2d, 1, 2, 3, 4], 5],
    ['bytes', [0x2a, 2, 1, 2], 4],
    ['large field number', [0xa2, 0x06, 1, 7], 4],
    ['known field', [0x08, 1], FAULT_POSITION],
    ['start of group', [0x2b], FAULT_POSITION],
    ['end of group', [0x2c], FAULT_POSITION],
    ['wire type 6', [0x2e], FAULT_POSITION],
    ['field 0', [0x00, 1], FAULT_POSITION],
    ['fixed64 cut', [0x29, 1, 2], FAULT_POSITION],
    ['varint cut', [0x28, 0x80], FAULT_POSITION],
    ['tag cut', [0xa8], FAULT_POSITION],
    ['bytes cut', [0x2a, 3, 1, 2], FAULT_POSITION],
  ]
  for (const [name, bytes, expected] of cases) {
    const cursor = cursorOver(...bytes)
    assert.equal(cursor.skip(0, bytes.length, 0b10), expected, name)
    assert.equal(cursor.fault !== undefined, expected === FAULT_POSITION, name)
    const reader = new ProtobufReader(new Uint8Array(bytes))
    if (name !== 'known field') assert.equal(reader.next() && reader.skip(), expected !== FAULT_POSITION, name)
  }
})

test('the first fault stays until the next message begins', () => {
  const cursor = cursorOver(1)
  assert.equal(cursor.fail('first'), FAULT_POSITION)
  cursor.fail('second')
  assert.equal(cursor.fault, 'first')
  cursor.begin(new Uint8Array(0))
  assert.equal(cursor.fault, undefined)
})
