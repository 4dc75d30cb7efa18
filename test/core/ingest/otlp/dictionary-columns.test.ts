import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NO_INDEX, readFunctions, readIndex, readLocations } from '#core/ingest/otlp/dictionary-columns.ts'
import { EntryRanges, readOtlpRequest } from '#core/ingest/otlp/request.ts'
import { ProtobufReader } from '#core/wire/protobuf.ts'
import { buildOtlp } from '../../../support/otlp.ts'

test('lines of a location lie one after the other, leaf first', () => {
  const stack = [
    { lines: [{ name: 'inlined', line: 7n }, { name: 'outer' }], address: 300n },
    { lines: [], address: 1n },
    { lines: [{ name: 'outer', file: 'o.go' }] },
  ]
  const raw = buildOtlp({ resources: [{ scopes: [{ profiles: [{ samples: [{ stack, values: [1n] }] }] }] }] })
  const { dictionary } = readOtlpRequest(raw)
  const locations = readLocations(raw, dictionary.locations)
  assert.deepEqual([...locations.lineStart], [0, 0, 2, 2, 3])
  assert.deepEqual([...locations.lineFunction.subarray(0, 3)], [1, 2, 3])
  assert.deepEqual([locations.lineNumber.lo[0], locations.lineNumber.lo[1]], [7, 0])
  // A tag and the number, as pprof would have it; nothing where none came.
  assert.deepEqual([...locations.lineNumberBytes.subarray(0, 2)], [2, 0])
  assert.deepEqual([locations.address.lo[1], locations.addressBytes[1], locations.addressBytes[3]], [300, 3, 0])
  const functions = readFunctions(raw, dictionary.functions)
  assert.deepEqual([functions.name.length, functions.filename[1], functions.filename[3]! > 0], [4, 0, true])
})

test('an index that is negative or past 32 bits lies outside of every table', () => {
  const index = (...bytes: number[]) => readIndex(new ProtobufReader(Uint8Array.from(bytes)))
  assert.equal(index(0x05), 5)
  assert.equal(index(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01), NO_INDEX)
  assert.equal(index(0x80, 0x80, 0x80, 0x80, 0x10), NO_INDEX)
})

test('an entry that is no message is refused', () => {
  const table = new EntryRanges()
  table.push(0, 2)
  const raw = Uint8Array.of(0x12, 0x09)
  assert.throws(() => readFunctions(raw, table), /a function is no protobuf/)
  assert.throws(() => readLocations(raw, table), /a location is no protobuf/)
})
