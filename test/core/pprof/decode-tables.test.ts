import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Cursor } from '#core/pprof/cursor.ts'
import { BAD_STRING, FunctionColumns, grownInt64, LocationColumns, MappingColumns } from '#core/pprof/decode-tables.ts'
import { WideIds } from '#core/pprof/id-table.ts'
import { getBigInt, setBigInt, allocateInt64Column } from '#core/wire/int64.ts'
import { ProtobufWriter } from '#core/wire/protobuf.ts'

interface Columns {
  read(cursor: Cursor, wide: WideIds, start: number, end: number): number
}

function read(columns: Columns, fields: [number, bigint | number][], wide = new WideIds()): number {
  const writer = new ProtobufWriter()
  for (const [field, value] of fields) writer.varintField(field, value)
  const cursor = new Cursor()
  cursor.begin(writer.copyBytes())
  const end = columns.read(cursor, wide, 0, writer.length)
  assert.equal(end, writer.length)
  return end
}

test('functions: rows start from zeros even where an earlier profile left something', () => {
  const functions = new FunctionColumns()
  functions.begin()
  read(functions, [
    [1, 3],
    [2, 4],
    [3, 5],
    [4, 6],
    [5, -7n],
  ])
  assert.deepEqual([functions.id[0], functions.name[0], functions.systemName[0], functions.filename[0]], [3, 4, 5, 6])
  assert.equal(getBigInt(functions.startLine, 0), -7n)
  functions.begin()
  read(functions, [])
  assert.deepEqual([functions.id[0], functions.name[0], functions.systemName[0], functions.filename[0]], [0, 0, 0, 0])
  assert.equal(getBigInt(functions.startLine, 0), 0n)
  assert.equal(functions.zeroIds, 1)
})

test('an index that is no 32-bit number is never in range', () => {
  const functions = new FunctionColumns()
  read(functions, [
    [2, -1n],
    [3, 2n ** 32n],
  ])
  assert.deepEqual([functions.name[0], functions.systemName[0]], [BAD_STRING, BAD_STRING])
})

test('mappings: flags are bits, and the last value of a repeated scalar counts', () => {
  const mappings = new MappingColumns()
  const cursor = new Cursor()
  cursor.begin(new Uint8Array([0x08, 2, 0x38, 1, 0x50, 1, 0x40, 1, 0x40, 0, 0x10, 9]))
  assert.equal(mappings.read(cursor, new WideIds(), 0, 12), 12)
  assert.deepEqual([mappings.id[0], mappings.flags[0]], [2, 0b1001])
  assert.equal(getBigInt(mappings.start, 0), 9n)
  read(mappings, [])
  assert.deepEqual([mappings.id[1], mappings.flags[1]], [0, 0])
})

test('every table keeps its rows while it grows', () => {
  const functions = new FunctionColumns()
  const mappings = new MappingColumns()
  const locations = new LocationColumns()
  for (let i = 0; i < 1_000; i++) {
    read(functions, [
      [1, i + 1],
      [2, i],
    ])
    read(mappings, [
      [1, i + 1],
      [2, BigInt(i) << 40n],
      [7, i % 2],
    ])
    read(locations, [
      [1, i + 1],
      [3, BigInt(i) << 33n],
      [5, i % 2],
    ])
  }
  for (const i of [0, 15, 16, 255, 256, 999]) {
    assert.deepEqual([functions.id[i], functions.name[i]], [i + 1, i])
    assert.deepEqual(
      [mappings.id[i], getBigInt(mappings.start, i), mappings.flags[i]],
      [i + 1, BigInt(i) << 40n, i % 2],
    )
    assert.deepEqual([getBigInt(locations.address, i), locations.folded[i]], [BigInt(i) << 33n, i % 2])
    assert.equal(locations.lineStart[i + 1], 0)
  }
})

test('lines of a location keep their order', () => {
  const locations = new LocationColumns()
  locations.begin()
  const cursor = new Cursor()
  const bytes = [0x22, 4, 0x08, 1, 0x10, 9, 0x08, 5, 0x22, 2, 0x08, 2, 0x22, 0]
  cursor.begin(new Uint8Array(bytes))
  assert.equal(locations.read(cursor, new WideIds(), 0, bytes.length), bytes.length)
  assert.deepEqual(Array.from(locations.lineFunction.subarray(0, 3)), [1, 2, 0])
  assert.deepEqual(Array.from(locations.lineNumber.lo.subarray(0, 3)), [9, 0, 0])
  assert.deepEqual(Array.from(locations.lineStart.subarray(0, 2)), [0, 3])
})

test('a grown column holds what the smaller one held', () => {
  const column = allocateInt64Column(2)
  setBigInt(column, 1, -5n)
  const larger = grownInt64(column, 4)
  assert.equal(getBigInt(larger, 1), -5n)
  assert.equal(larger.lo.length, 4)
})
