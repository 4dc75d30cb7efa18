import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PprofTables } from '#core/ingest/otlp/pprof-tables.ts'
import { EntryRanges, readOtlpRequest } from '#core/ingest/otlp/request.ts'
import { LAYOUT_1_10 } from '#core/ingest/otlp/sample-layout.ts'
import { SampleWriter } from '#core/ingest/otlp/sample-writer.ts'
import { ProtobufReader, ProtobufWriter } from '#core/wire/protobuf.ts'
import { buildOtlp, type OtlpSample } from '../../../support/otlp.ts'
import { decodeReference } from '../../../support/reference-pprof.ts'

function open(samples: OtlpSample[]) {
  const request = readOtlpRequest(buildOtlp({ resources: [{ scopes: [{ profiles: [{ samples }] }] }] }))
  const { start, end } = request.resources[0]!.scopes[0]!.profiles[0]!
  const ranges = new EntryRanges()
  const reader = new ProtobufReader(request.raw, start, end)
  while (reader.next()) {
    if (reader.field === 2) ranges.push(reader.payload(), reader.position)
    else reader.skip()
  }
  const tables = new PprofTables(request)
  return { tables, ranges, writer: new SampleWriter(request, LAYOUT_1_10, tables) }
}

function valuesOf(samples: OtlpSample[], factor: bigint): bigint[] {
  const { tables, ranges, writer } = open(samples)
  const out = new ProtobufWriter()
  writer.begin(factor)
  for (let i = 0; i < ranges.count; i++) writer.write(ranges.start.array[i]!, ranges.end.array[i]!, out)
  tables.writeTo(out)
  return decodeReference(out.copyBytes()).samples.map(({ values }) => values[0]!)
}

test('sums and products are 64 bits wide', () => {
  const sample = (...values: bigint[]): OtlpSample => ({ stack: ['f'], values })
  const max = 2n ** 63n - 1n
  assert.deepEqual(valuesOf([sample(3n, 4n), sample(max), sample(2n ** 53n - 1n, 1n), sample(-5n, 2n)], 1n), [
    7n,
    max,
    2n ** 53n,
    -3n,
  ])
  assert.deepEqual(valuesOf([sample(2n ** 30n), sample(3n), sample(-1n)], 10_000_000n), [
    2n ** 30n * 10_000_000n,
    30_000_000n,
    -10_000_000n,
  ])
  assert.deepEqual(valuesOf([sample(max)], 2n), [-2n])
  assert.deepEqual(valuesOf([sample(4n)], -1n), [-4n])
})

test('samples are grouped by the service that they name', () => {
  const { ranges, writer } = open([
    { stack: ['f'], values: [1n], attributes: { 'service.name': 'a' } },
    { stack: ['f'], values: [2n] },
    { stack: ['f'], values: [3n], attributes: { x: 'y', 'service.name': 'a' } },
  ])
  const groups = writer.groupByService(ranges, 'service.name')
  assert.deepEqual(
    groups.map(({ service, samples }) => [service, samples.count]),
    [
      ['a', 2],
      [undefined, 1],
    ],
  )
  assert.deepEqual(writer.groupByService(new EntryRanges(), 'service.name'), [])
})

test('timestamps that end early are refused', () => {
  const { tables } = open([])
  const raw = Uint8Array.of(0x2a, 0x03, 1, 2, 3)
  const writer = new SampleWriter({ raw, resources: [], profileCount: 0 } as never, LAYOUT_1_10, tables)
  writer.begin(1n)
  assert.throws(() => writer.write(0, raw.length, new ProtobufWriter()), /timestamps of a sample end early/)
})
