import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { allocateInt64Column, getBigInt, setBigInt } from '#core/wire/int64.ts'
import {
  decodeVarints32,
  decodeVarints64,
  deltas32,
  deltas64,
  encodeVarints32,
  encodeVarints64,
  undoDeltas32,
  undoDeltas64,
  unzigzag32,
  writeVarint64,
  zigzag32,
} from '#core/wire/varint.ts'

const uint32 = fc.oneof(fc.nat({ max: 300 }), fc.constantFrom(0, 127, 128, 16383, 16384, 0xffffffff), fc.nat())
const int64 = fc.oneof(fc.nat({ max: 300 }).map(BigInt), fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }))

test('columns of 32 bits come back, and every byte is used', () => {
  fc.assert(
    fc.property(fc.array(uint32, { maxLength: 40 }), (values) => {
      const out = new Uint8Array(values.length * 5)
      const end = encodeVarints32(Uint32Array.from(values), 0, values.length, { out, at: 0 })
      const back = new Uint32Array(values.length)
      assert.equal(decodeVarints32({ bytes: out, start: 0, end }, back, 0, values.length), end)
      assert.deepEqual(
        [...back],
        values.map((value) => value >>> 0),
      )
    }),
  )
})

test('columns of 64 bits come back, negative ones in ten bytes', () => {
  fc.assert(
    fc.property(fc.array(int64, { maxLength: 40 }), (values) => {
      const column = allocateInt64Column(values.length)
      values.forEach((value, i) => setBigInt(column, i, value))
      const out = new Uint8Array(values.length * 10)
      const end = encodeVarints64(column, 0, values.length, { out, at: 0 })
      const back = allocateInt64Column(values.length)
      assert.equal(decodeVarints64({ bytes: out, start: 0, end }, back, 0, values.length), end)
      assert.deepEqual(
        values.map((_, i) => getBigInt(back, i)),
        values,
      )
    }),
  )
  assert.equal(writeVarint64(new Uint8Array(10), 0, 0xffffffff, 0xffffffff), 10)
})

test('a column that ends early or is too wide is refused in both loops', () => {
  for (const padding of [0, 8]) {
    const read32 = (...bytes: number[]): number => {
      const all = Uint8Array.from([...bytes, ...new Array<number>(padding).fill(0)])
      return decodeVarints32({ bytes: all, start: 0, end: all.length }, new Uint32Array(1), 0, 1)
    }
    assert.equal(read32(0xff, 0xff, 0xff, 0xff, 0x0f), 5)
    assert.equal(read32(0xff, 0xff, 0xff, 0xff, 0x10), -1)
    assert.equal(read32(0xff, 0xff, 0xff, 0xff, 0x8f, 0x00), -1)
  }
  const short = Uint8Array.from([0x80, 0x80])
  assert.equal(decodeVarints32({ bytes: short, start: 0, end: 2 }, new Uint32Array(1), 0, 1), -1)
  assert.equal(decodeVarints32({ bytes: Uint8Array.from([1]), start: 0, end: 1 }, new Uint32Array(2), 0, 2), -1)
  const wide = Uint8Array.from([255, 255, 255, 255, 255, 255, 255, 255, 255, 2])
  assert.equal(decodeVarints64({ bytes: wide, start: 0, end: 10 }, allocateInt64Column(1), 0, 1), -1)
  const long = new Uint8Array(11).fill(0x80)
  assert.equal(decodeVarints64({ bytes: long, start: 0, end: 11 }, allocateInt64Column(1), 0, 1), -1)
})

test('differences come back, also where they wrap', () => {
  fc.assert(
    fc.property(fc.array(uint32, { maxLength: 40 }), fc.array(int64, { maxLength: 40 }), (narrow, wide) => {
      const column = Uint32Array.from(narrow)
      const back = deltas32(column, column.length)
      undoDeltas32(back, back.length)
      assert.deepEqual(back, column)
      const lanes = allocateInt64Column(wide.length)
      wide.forEach((value, i) => setBigInt(lanes, i, value))
      const lanesBack = deltas64(lanes, wide.length)
      undoDeltas64(lanesBack, wide.length)
      assert.deepEqual(lanesBack, lanes)
    }),
  )
})

test('zigzag puts small magnitudes first', () => {
  assert.deepEqual([0, -1, 1, -2, 2].map(zigzag32), [0, 1, 2, 3, 4])
  assert.deepEqual([0, 1, 2, 3, 0xffffffff].map(unzigzag32), [0, -1, 1, -2, -2147483648])
})
