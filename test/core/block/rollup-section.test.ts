import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { openDataset } from '#core/block/dataset-head.ts'
import { FRAME_ROWS_TARGET } from '#core/block/format.ts'
import { FetchedRanges, planDatasetRead } from '#core/block/read.ts'
import type { Dataset } from '#core/block/dataset.ts'
import { decodeRollupIndex, encodeRollups, planRollupFrames } from '#core/block/rollup-section.ts'
import { buildRollups } from '#core/block/rollup-build.ts'
import { encodeDataset, encodeObject } from '#core/block/write.ts'
import { ByteReader } from '#core/wire/byte-reader.ts'
import { assertSafeDecoder, isDataLoss } from '../../support/block-faults.ts'
import { functionLevelOf, TEST_CODEC } from '../../support/block-objects.ts'
import { CPU_GROUP, makeDataset, makeLabels, WINDOW_START_NANOS } from '../../support/datasets.ts'
import { expectedRollup, plainRollups, repetitiveDataset } from '../../support/rollups.ts'

function twoSeries(profilesEach: number): Dataset {
  const series = ['a', 'b'].map((pod) => makeLabels({ pod }))
  const profiles = Array.from({ length: 2 * profilesEach }, (_, i) => ({
    series: i % 2,
    group: 0,
    timeNanos: WINDOW_START_NANOS + BigInt(i),
    id: i,
    samples: Array.from({ length: 30 }, (_s, s) => {
      const count = BigInt(1 + ((s * 7 + i * 13) % 251))
      return { stack: [`f${s % 9}`, `g${s}`], values: [count, count * 10_000_000n + BigInt(s)] }
    }),
  }))
  return makeDataset({ series, groups: [CPU_GROUP], profiles })
}

function opened(dataset: Dataset, rollupBytesFraction: number) {
  const functionLevel = functionLevelOf(dataset)
  const encoded = encodeDataset(dataset, { codec: TEST_CODEC, functionLevel, rollupBytesFraction })
  const { tenant, service, windowStartMs, windowMs } = dataset
  const { bytes, descriptors } = encodeObject({
    objectId: '01HZ9V8S00AAAAAAAAAAAAAAAA',
    level: 1,
    createdMs: 0,
    sources: [],
    datasets: [{ tenant, service, windowStartMs, windowMs, encoded }],
  })
  const head = openDataset(encoded.bytes.slice(0, encoded.headBytes), descriptors[0]!, TEST_CODEC)
  return { head, bytes, encoded }
}

test('what is stored is what was built, read by the ranges of the plan alone', () => {
  fc.assert(
    fc.property(repetitiveDataset(), (dataset) => {
      const { head, bytes } = opened(dataset, 1000)
      const count = buildRollups(dataset).count
      assert.equal(head.rollups?.count ?? 0, count)
      const rollups = Array.from({ length: count }, (_, r) => r)
      const columns = dataset.groups.flatMap(({ types }, group) => types.map((_, type) => ({ group, type })))
      const ranges = planDatasetRead(head, { symbols: 'functions', headers: new Uint32Array(0), columns, rollups })
      const fetched = new FetchedRanges(
        ranges.map(({ offset, lengthBytes }) => ({ offset, bytes: bytes.slice(offset, offset + lengthBytes) })),
      )
      for (const rollup of plainRollups(head, fetched)) assert.deepEqual(rollup, expectedRollup(dataset, rollup))
    }),
    { numRuns: 60 },
  )
})

test('rollups are written up to a share of the frames: all, those over all series, or none', () => {
  const dataset = twoSeries(40)
  const scopes = (fraction: number): number[] | undefined => {
    const { rollups } = opened(dataset, fraction).head
    return rollups === undefined ? undefined : [...rollups.scope]
  }
  const framesBytes = opened(dataset, 0).head.section('frames').storedBytes
  const { index, frames } = encodeRollups(dataset, TEST_CODEC, Number.MAX_SAFE_INTEGER)!
  const all = (index.length + frames.sizeBytes) / framesBytes
  assert.deepEqual(scopes(all), [0, 1, 2])
  assert.deepEqual(scopes(all - 1 / framesBytes), [0])
  assert.equal(scopes(0.01), undefined)
  assert.equal(scopes(0), undefined)
})

test('segments have no rollups', () => {
  const { bytes } = encodeDataset(twoSeries(40), { codec: TEST_CODEC, rollupBytesFraction: 1000 })
  const withLevel = opened(twoSeries(40), 1000).encoded.bytes
  assert.ok(withLevel.length > bytes.length)
})

test('totals that the rows do not have are refused by the writer', () => {
  const dataset = twoSeries(4)
  dataset.headers.totals[1]!.lo[3]!++
  assert.throws(() => encodeRollups(dataset, TEST_CODEC, 1e9), /dataset 0 .*: rollups: rollup 0 has \d+ of type 1/)
})

test('a rollup over all series is a frame of its own, others share one up to the target', () => {
  const cut = (list: readonly (readonly [group: number, hour: number, scope: number, rows: number])[]): number[] => {
    const column = (at: number): Uint32Array => Uint32Array.from(list, (entry) => entry[at]!)
    const index = { count: list.length, group: column(0), hour: Int32Array.from(column(1)), scope: column(2) }
    const rows = { profiles: column(3), rowStart: column(3), rowLength: column(3) }
    return planRollupFrames({ ...index, ...rows }).map(({ headerCount }) => headerCount)
  }
  assert.deepEqual(cut([]), [])
  assert.deepEqual(
    cut([
      [0, 5, 0, 9],
      [0, 5, 1, 9],
      [0, 5, 2, 9],
    ]),
    [1, 2],
  )
  assert.deepEqual(
    cut([
      [0, 5, 0, 9],
      [0, 6, 0, 9],
    ]),
    [1, 1],
  )
  assert.deepEqual(
    cut([
      [0, 5, 1, 9],
      [0, 6, 1, 9],
      [1, 6, 1, 9],
    ]),
    [1, 1, 1],
  )
  assert.deepEqual(
    cut([
      [0, 5, 1, FRAME_ROWS_TARGET],
      [0, 5, 2, 1],
      [0, 5, 3, 1],
    ]),
    [1, 2],
  )
})

test('the index decoder meets any bytes with a value or with data loss', () => {
  const dataset = twoSeries(40)
  const { index, frames } = encodeRollups(dataset, TEST_CODEC, 1e9)!
  const context = { groups: dataset.groups, seriesCount: 2, rollupsBytes: frames.sizeBytes }
  assertSafeDecoder(index, (input) => decodeRollupIndex(input, context))
})

test('an index that names what is not there is refused', () => {
  const dataset = twoSeries(40)
  const { index, frames } = encodeRollups(dataset, TEST_CODEC, 1e9)!
  const decode = (change: object) => () =>
    decodeRollupIndex(new ByteReader(index, 'section rollupIndex'), {
      groups: dataset.groups,
      seriesCount: 2,
      rollupsBytes: frames.sizeBytes,
      ...change,
    })
  decode({})()
  assert.throws(decode({ groups: [] }), /rollup 0 names group 0 of 0/)
  assert.throws(decode({ seriesCount: 1 }), /rollup 2 names series 1 of 1/)
  assert.throws(decode({ rollupsBytes: frames.sizeBytes - 1 }), isDataLoss)
})
