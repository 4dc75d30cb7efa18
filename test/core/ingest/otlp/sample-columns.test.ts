import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ProfileTables } from '#core/ingest/otlp/profile-tables.ts'
import { SampleColumns } from '#core/ingest/otlp/sample-columns.ts'
import { LAYOUT_1_10 } from '#core/ingest/otlp/sample-layout.ts'
import { SampleReader } from '#core/ingest/otlp/sample-reader.ts'
import { getBigInt } from '#core/wire/int64.ts'
import { buildOtlp, type OtlpSample } from '../../../support/otlp.ts'
import { openFirst } from '../../../support/otlp-profiles.ts'
import { parseFields } from '../../../support/reference-pprof.ts'

function columnsOf(samples: OtlpSample[], factor: bigint): SampleColumns {
  const profiles = [{ type: ['cpu', 'ns'] as const, samples }]
  const first = openFirst(buildOtlp({ resources: [{ scopes: [{ profiles }] }] }))
  const tables = new ProfileTables()
  tables.begin(first.tables)
  const columns = new SampleColumns()
  columns.begin(factor)
  const reader = new SampleReader(LAYOUT_1_10)
  for (const { field, payload } of parseFields(first.bytes)) {
    if (field !== 2) continue
    reader.read(payload, 0, payload.length)
    columns.add(reader, first.tables, tables)
  }
  return columns
}

function valuesOf(samples: OtlpSample[], factor: bigint): bigint[] {
  const { count, value } = columnsOf(samples, factor)
  const column = { lo: value.lo.array, hi: value.hi.array }
  return Array.from({ length: count }, (_, i) => getBigInt(column, i))
}

test('sums and products are 64 bits wide', () => {
  const sample = (...values: bigint[]): OtlpSample => ({ stack: ['f'], values })
  const max = 2n ** 63n - 1n
  const sums = valuesOf([sample(3n, 4n), sample(max), sample(2n ** 53n - 1n, 1n), sample(-5n, 2n)], 1n)
  assert.deepEqual(sums, [7n, max, 2n ** 53n, -3n])
  const products = valuesOf([sample(2n ** 30n), sample(3n), sample(-1n)], 10_000_000n)
  assert.deepEqual(products, [2n ** 30n * 10_000_000n, 30_000_000n, -10_000_000n])
  assert.deepEqual(valuesOf([sample(max)], 2n), [-2n])
  assert.deepEqual(valuesOf([sample(4n)], -1n), [-4n])
})

test('timestamps are counted where there are no values, and only there', () => {
  const samples: OtlpSample[] = [
    { stack: ['f'], timestamps: [1n, 2n, 3n] },
    { stack: ['f'], values: [9n], timestamps: [1n, 2n] },
  ]
  assert.deepEqual(valuesOf(samples, 10n), [30n, 90n])
})

test('the deepest stack and the longest list of labels are known, and cleared columns keep their count of bytes', () => {
  const columns = columnsOf(
    [
      { stack: ['a', 'b', 'c'], values: [1n] },
      { stack: ['a'], values: [1n], attributes: { k: 'v', l: 'w' } },
    ],
    1n,
  )
  assert.deepEqual([columns.depthMax, columns.labelsMax, columns.count], [3, 2, 2])
  assert.deepEqual([...columns.locationStart.array.subarray(0, 3)], [0, 3, 4])
  assert.deepEqual([...columns.location.array.subarray(0, 4)], [0, 1, 2, 0])
  const { sizeBytes } = columns
  columns.clear()
  assert.deepEqual([columns.count, columns.sizeBytes], [0, sizeBytes])
})
