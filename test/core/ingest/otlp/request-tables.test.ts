import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { RequestTables } from '#core/ingest/otlp/request-tables.ts'
import { ProtobufWriter } from '#core/wire/protobuf.ts'
import { buildOtlp, type OtlpSample } from '../../../support/otlp.ts'
import { openFirst } from '../../../support/otlp-profiles.ts'

const traceId = Uint8Array.from({ length: 16 }, (_, i) => i)
const spanId = Uint8Array.from({ length: 8 }, (_, i) => 0xf0 + i)

function tablesOf(...samples: OtlpSample[]): RequestTables {
  const profiles = [{ type: ['cpu', 'ns'] as const, samples }]
  return openFirst(buildOtlp({ resources: [{ scopes: [{ profiles }] }] })).tables
}

const textOf = ({ strings }: RequestTables, number: number): string =>
  new TextDecoder().decode(strings.raw.subarray(strings.start.array[number], strings.end.array[number]))

test('attributes are texts by number, whatever their value is; what is no label is none', () => {
  const attributes = { k: 'v', n: 7n, flag: true, list: ['x', 'y'], '': 'nameless', again: 'v' }
  const tables = tablesOf({ stack: ['f'], values: [1n], attributes })
  const read = Array.from({ length: tables.dictionary.attributes.count }, (_, i) => tables.attribute(i))
  const labels = read.flatMap((label) => (label ? [[textOf(tables, label.key), textOf(tables, label.value)]] : []))
  assert.deepEqual(labels, [
    ['k', 'v'],
    ['n', '7'],
    ['flag', 'true'],
    ['again', 'v'],
  ])
  assert.equal(read.find((label) => label && textOf(tables, label.key) === 'k')!.value, read.at(-1)!.value)
  assert.equal(tables.attribute(1), tables.attribute(1))
  assert.throws(() => tables.attribute(99), /invalid attribute index: 99/)
})

test('the attribute that names a service is no label, nor is one without a value', () => {
  const tables = tablesOf({ stack: ['f'], values: [1n], attributes: { 'service.name': 'shop', two: ['a', 'b'] } })
  assert.deepEqual([tables.attribute(0), tables.attribute(1), tables.attribute(2)], [undefined, undefined, undefined])
})

test('links are hexadecimal, and only as long as ids are', () => {
  const tables = tablesOf(
    { stack: ['f'], values: [1n], link: { traceId, spanId } },
    { stack: ['f'], values: [1n], link: { traceId: traceId.subarray(1), spanId } },
  )
  const linkOf = (index: number) =>
    tables.link(index).map(({ key, value }) => [textOf(tables, key), textOf(tables, value)])
  assert.deepEqual(linkOf(1), [
    ['span_id', 'f0f1f2f3f4f5f6f7'],
    ['trace_id', '000102030405060708090a0b0c0d0e0f'],
  ])
  assert.deepEqual(linkOf(2), [['span_id', 'f0f1f2f3f4f5f6f7']])
  assert.throws(() => tables.link(3), /invalid link index: 3/)
})

test('a stack is read once, and mappings have their build id', () => {
  const mapping = { file: 'libc', buildId: 'b1' }
  const tables = tablesOf({ stack: [{ lines: [], mapping, address: 5n }, 'main'], values: [1n] })
  const [start, end] = [tables.stackStart(1), tables.stackEnd(1)]
  assert.deepEqual([...tables.stackLocations.subarray(start, end)], [1, 2])
  assert.deepEqual([tables.stackStart(1), tables.stackEnd(1)], [start, end])
  const { range, rangeBytes, filename, buildId } = tables.mapping(1)
  assert.deepEqual([[...range.lo], rangeBytes], [[0x1000, 0x2000, 0], 6])
  assert.deepEqual([textOf(tables, filename), textOf(tables, buildId)], ['libc', 'b1'])
  assert.equal(tables.mapping(0).buildId, -1)
  assert.throws(() => tables.stackStart(7), /invalid stack index: 7/)
  assert.throws(() => tables.string(77), /invalid string index: 77/)
  assert.equal(tables.text(0), '')
  assert.ok(tables.baseBytes > 4_096)
})

test('an entry that is wrong is read once, however often it is named', () => {
  const ends = Uint8Array.of(0x80)
  const places = 5_000
  // A list of many locations, and then half a number.
  const stack = new ProtobufWriter()
  stack.bytesField(1, Uint8Array.of(...Array.from({ length: places }, () => 1), 0x80))
  const out = new ProtobufWriter()
  for (const table of [1, 2, 3, 4, 6]) out.bytesField(table, ends)
  out.bytesField(5, new Uint8Array(0))
  out.bytesField(7, stack.copyBytes())
  const tables = new RequestTables(out.copyBytes())
  const faultOf = (read: () => unknown): unknown => {
    try {
      return read()
    } catch (error) {
      return error
    }
  }
  const reads = [
    () => tables.mapping(0),
    () => tables.locations,
    () => tables.functions,
    () => tables.link(0),
    () => tables.attribute(0),
    () => tables.stackStart(0),
  ]
  for (const read of reads) {
    const fault = faultOf(read)
    assert.ok(fault instanceof CinderError, String(read))
    for (let i = 0; i < 20; i++) assert.equal(faultOf(read), fault, String(read))
  }
  assert.ok(tables.stackLocations.length < places * 4, `${tables.stackLocations.length} places are kept`)
})
