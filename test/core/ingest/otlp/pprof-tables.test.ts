import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PprofTables } from '#core/ingest/otlp/pprof-tables.ts'
import { readOtlpRequest } from '#core/ingest/otlp/request.ts'
import { ProtobufWriter } from '#core/wire/protobuf.ts'
import { buildOtlp, type OtlpFrame } from '../../../support/otlp.ts'
import { decodeReference, parseFields } from '../../../support/reference-pprof.ts'

const APP = { file: 'app', buildId: 'b1' }
const FRAMES: OtlpFrame[] = [
  { lines: [{ name: 'leaf', file: 'app.go', line: 7n }], mapping: APP, address: 16n },
  { lines: [], mapping: APP, address: 32n },
  { lines: [{ name: 'kernel' }], mapping: { file: 'vmlinux' } },
]

function tables(frames: OtlpFrame[]): PprofTables {
  const samples = [{ stack: frames, values: [1n] }]
  return new PprofTables(readOtlpRequest(buildOtlp({ resources: [{ scopes: [{ profiles: [{ samples }] }] }] })))
}

/** The tables as a pprof with one sample that names all locations. */
function written(of: PprofTables, ids: number[]) {
  const [out, sample, list] = [new ProtobufWriter(), new ProtobufWriter(), new ProtobufWriter()]
  for (const id of ids) list.varint(id)
  sample.messageField(1, list)
  out.messageField(2, sample)
  of.writeTo(out)
  return { bytes: out.copyBytes(), stack: decodeReference(out.copyBytes()).samples[0]!.stack }
}

test('what a mapping has is what all of its locations have, apart from those without lines', () => {
  const made = tables(FRAMES)
  const { stack } = written(made, [made.location(1), made.location(2), made.location(3)])
  assert.deepEqual(
    stack.map((location) => JSON.parse(location!.mapping!).slice(3)),
    [
      ['app', 'b1', true, true, true, false],
      ['app', 'b1', false, false, false, false],
      ['vmlinux', '', true, false, false, false],
    ],
  )
  assert.deepEqual(
    stack.map((location) => location!.address),
    [16n, 32n, 0n],
  )
})

test('an entry is written once, at its first use, and a new profile begins with nothing', () => {
  const made = tables(FRAMES)
  assert.deepEqual([made.location(3), made.location(1), made.location(3)], [1, 2, 1])
  assert.deepEqual([made.text('x'), made.text('x'), made.text('')], [made.text('x'), made.text('x'), 0])
  assert.ok(made.sizeBytes > 10)
  made.begin()
  assert.equal(made.location(1), 1)
  const { bytes } = written(made, [1])
  assert.deepEqual(
    parseFields(bytes).map(({ field }) => field),
    [2, 3, 4, 5, 6, 6, 6, 6, 6],
  )
})

test('an index outside of its table is refused by the name of the table', () => {
  const made = tables(FRAMES)
  assert.throws(() => made.location(9), /invalid location index: 9 \(the table has 4 entries\)/)
  assert.throws(() => made.attribute(5), /invalid attribute index: 5/)
})
