import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeHeaders, encodeHeaders, floorMs, timeBounds } from '#core/block/header-section.ts'
import { ByteReader } from '#core/wire/byte-reader.ts'
import { ByteWriter } from '#core/wire/byte-writer.ts'
import { allocateInt64Column, setBigInt } from '#core/wire/int64.ts'
import { arbitraryDataset, CPU_GROUP, makeDataset, plainDataset, WINDOW_START_NANOS } from '../../support/datasets.ts'
import { assertSafeDecoder, written } from '../../support/block-faults.ts'

test('headers come back without their ids', () => {
  fc.assert(
    fc.property(arbitraryDataset(), (dataset) => {
      const bytes = written((out) => encodeHeaders(dataset.headers, dataset.groups, out))
      const context = { groups: dataset.groups, seriesCount: dataset.series.length }
      const headers = decodeHeaders(new ByteReader(bytes, 'x'), context)
      const back = { ...dataset, headers: { ...headers, profileId: dataset.headers.profileId } }
      assert.deepEqual(plainDataset(back), plainDataset(dataset))
    }),
  )
})

test('a profile every 15 seconds costs under 16 bytes before compression, without its id', () => {
  const profiles = Array.from({ length: 240 }, (_, i) => ({
    series: 0,
    group: 0,
    timeNanos: WINDOW_START_NANOS + BigInt(i) * 15_000_123_456n,
    durationNanos: 15_000_000_000n,
    id: i,
    samples: [{ stack: ['main'], values: [1n, 10_000_000n] }],
  }))
  const dataset = makeDataset({ series: [[]], groups: [CPU_GROUP], profiles })
  const out = new ByteWriter()
  encodeHeaders(dataset.headers, dataset.groups, out)
  assert.ok(out.length < 240 * 16, `${out.length} bytes`)
})

test('milliseconds are the floor, exact, also before 1970', () => {
  const nanos = fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n })
  const edge = fc.integer().map((ms) => BigInt(ms) * 1_000_000n)
  fc.assert(
    fc.property(
      fc.oneof(
        nanos,
        edge,
        edge.map((n) => n - 1n),
      ),
      (value) => {
        const column = allocateInt64Column(1)
        setBigInt(column, 0, value)
        const expected = (value - (((value % 1_000_000n) + 1_000_000n) % 1_000_000n)) / 1_000_000n
        assert.equal(BigInt(floorMs(column.hi[0]! | 0, column.lo[0]!)), expected)
      },
    ),
  )
})

test('time bounds are the least and the greatest, in any order', () => {
  const times = [5_000_001n, -1n, 5_000_000n, 1n << 40n]
  const timeNanos = allocateInt64Column(times.length)
  times.forEach((time, i) => setBigInt(timeNanos, i, time))
  assert.deepEqual(timeBounds({ count: times.length, timeNanos }), { minTimeMs: -1, maxTimeMs: 1_099_511 })
})

test('any bytes are headers or data loss', () => {
  const samples = [{ stack: ['main'], values: [1n, 2n] }]
  const profiles = [1, 2].map((id) => ({ series: 0, group: 0, timeNanos: WINDOW_START_NANOS, id, samples }))
  const dataset = makeDataset({ series: [[]], groups: [CPU_GROUP], profiles })
  assertSafeDecoder(
    written((out) => encodeHeaders(dataset.headers, dataset.groups, out)),
    (input) => decodeHeaders(input, { groups: dataset.groups, seriesCount: 1 }),
  )
})
