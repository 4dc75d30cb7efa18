import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openDataset } from '#core/block/dataset-head.ts'
import type { DatasetDescriptor } from '#core/rpc/metastore.ts'
import { ARBITRARY_GROUPS, makeDataset, makeLabels, WINDOW_START_NANOS } from '../../support/datasets.ts'
import { buildObject, regionOf, TEST_CODEC } from '../../support/block-objects.ts'

const dataset = makeDataset({
  series: [makeLabels({ pod: 'a' })],
  groups: ARBITRARY_GROUPS.slice(0, 1),
  profiles: [
    { series: 0, group: 0, timeNanos: WINDOW_START_NANOS, id: 1, samples: [{ stack: ['main'], values: [1n, 2n] }] },
  ],
})
const object = buildObject([dataset])
const descriptor = object.descriptors[0]!
const region = regionOf(object)

test('the head alone gives series, groups, headers, sums and frames', () => {
  const head = openDataset(region.slice(0, descriptor.headBytes), descriptor, TEST_CODEC)
  assert.deepEqual(head.series, dataset.series)
  assert.deepEqual(head.groups, dataset.groups)
  assert.deepEqual(head.headers.totals, dataset.headers.totals)
  assert.equal(head.sums.length, 2)
  assert.equal(head.frames.length, 1)
  assert.equal(head.seriesCount, 1)
  assert.equal(head.headers, head.headers)
})

test('nothing is decoded before it is asked for', () => {
  const damaged = region.slice(0, descriptor.headBytes)
  damaged[damaged.length - 1] = damaged.at(-1)! ^ 1
  const head = openDataset(damaged, descriptor, TEST_CODEC)
  assert.deepEqual(head.series, dataset.series)
  assert.throws(() => head.frames, /section frameIndex: checksum does not match/)
})

test('a descriptor that says otherwise is refused', () => {
  const table: [Partial<DatasetDescriptor>, RegExp][] = [
    [{ tenant: 'other' }, /another dataset/],
    [{ headBytes: descriptor.headBytes + 1 }, /its descriptor says/],
    [{ sizeBytes: descriptor.sizeBytes + 1 }, /region of \d+ bytes, its descriptor says/],
    [{ profileCount: 2 }, /1 profiles and 1 rows, the descriptor says 2 and 1/],
    [{ sampleCount: 2 }, /1 profiles and 1 rows, the descriptor says 1 and 2/],
    [{ minTimeMs: 0 }, /times .* the descriptor says 0/],
  ]
  for (const [change, message] of table)
    assert.throws(() => openDataset(region, { ...descriptor, ...change }, TEST_CODEC).headers, message)
  assert.throws(() => openDataset(region.subarray(0, 20), descriptor, TEST_CODEC), /head of 20 bytes/)
})
