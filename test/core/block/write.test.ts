import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  decodeDataset,
  decodeFooter,
  FetchedRanges,
  footerRange,
  openDataset,
  readStackKeys,
  verifyObject,
} from '#core/block/read.ts'
import { compareObjectDatasets, encodeDataset, encodeObject, type ObjectDataset } from '#core/block/write.ts'
import { conservationSums, stackHashes } from '#core/block/conservation.ts'
import type { Dataset } from '#core/block/dataset.ts'
import { setBigInt } from '#core/wire/int64.ts'
import {
  arbitraryDataset,
  CPU_GROUP,
  makeDataset,
  plainDataset,
  WINDOW_START_MS,
  WINDOW_START_NANOS,
} from '../../support/datasets.ts'
import { buildObject, regionOf, TEST_CODEC } from '../../support/block-objects.ts'
import { distinctStacks, plainDataset as manyRows } from '../../support/plain-dataset.ts'
import { seededRandom } from '../../support/profiles.ts'

function tiny(overrides: { tenant?: string; service?: string; windowStartMs?: number; count?: number } = {}): Dataset {
  const { count = 1, ...spec } = overrides
  const samples = [{ stack: ['main'], values: [1n, 10_000_000n] }]
  const profiles = Array.from({ length: count }, (_, i) => ({
    series: 0,
    group: 0,
    timeNanos: WINDOW_START_NANOS + BigInt(i) * 1_500_000n,
    id: i,
    samples,
  }))
  return makeDataset({ ...spec, series: [[]], groups: [CPU_GROUP], profiles })
}

test('every dataset comes back as it was, through an object and its footer', () => {
  fc.assert(
    fc.property(arbitraryDataset(), fc.boolean(), (dataset, withFunctionLevel) => {
      const object = buildObject([dataset], withFunctionLevel)
      const { bytes, descriptors } = object
      const range = footerRange(bytes.length, bytes.subarray(-16))
      assert.deepEqual(decodeFooter(bytes.subarray(range.offset), bytes.length).datasets, descriptors)
      const back = decodeDataset(regionOf(object), descriptors[0]!, TEST_CODEC)
      assert.deepEqual(plainDataset(back), plainDataset(dataset))
    }),
    { numRuns: 200 },
  )
})

test('the descriptor says what the dataset holds', () => {
  const encoded = encodeDataset(tiny({ count: 3 }), { codec: TEST_CODEC })
  assert.equal(encoded.minTimeMs, WINDOW_START_MS)
  assert.equal(encoded.maxTimeMs, WINDOW_START_MS + 3)
  assert.equal(encoded.profileCount, 3)
  assert.equal(encoded.sampleCount, 3)
  assert.ok(encoded.headBytes < encoded.bytes.length)
})

test('a dataset of one small profile costs under 600 bytes', () => {
  assert.ok(encodeDataset(tiny(), { codec: TEST_CODEC }).bytes.length < 600)
})

test('given sums are stored, absent ones computed', () => {
  const dataset = tiny()
  const computed = encodeDataset(dataset, { codec: TEST_CODEC }).bytes
  const sums = conservationSums(dataset, stackHashes(dataset.symbols))
  assert.deepEqual(encodeDataset(dataset, { codec: TEST_CODEC, sums }).bytes, computed)
  assert.notDeepEqual(encodeDataset(dataset, { codec: TEST_CODEC, sums: [] }).bytes, computed)
})

test('a dataset out of order or without profiles is not written', () => {
  const dataset = tiny({ count: 2 })
  setBigInt(dataset.headers.timeNanos, 1, 0n)
  assert.throws(() => encodeDataset(dataset, { codec: TEST_CODEC }), /out of order: header 1 sorts before header 0/)
  assert.throws(() => encodeDataset(tiny({ count: 0 }), { codec: TEST_CODEC }), /at least one profile/)
})

test('datasets lie by tenant, service and window, without gaps', () => {
  const datasets = [
    tiny({ tenant: 'a', service: 'x' }),
    tiny({ tenant: 'a', service: 'x', windowStartMs: WINDOW_START_MS + 3_600_000 }),
    tiny({ tenant: 'a', service: 'y' }),
    tiny({ tenant: 'b', service: 'a' }),
  ]
  const { bytes, descriptors } = buildObject(datasets)
  let offset = 8
  for (const descriptor of descriptors) {
    assert.equal(descriptor.offset, offset)
    offset += descriptor.sizeBytes
  }
  assert.equal(verifyObject(bytes, TEST_CODEC).datasets.length, 4)
  assert.throws(() => buildObject(datasets.toReversed()), /by tenant, service, window/)
  assert.deepEqual(datasets.toReversed().sort(compareObjectDatasets), datasets)
})

test('a region is not placed under another name', () => {
  const dataset = tiny({ tenant: 'a', service: 'x' })
  const encoded = encodeDataset(dataset, { codec: TEST_CODEC })
  const place = (tenant: string, service: string): ObjectDataset => ({
    tenant,
    service,
    windowStartMs: 0,
    windowMs: 1,
    encoded,
  })
  const object = (only: ObjectDataset) =>
    encodeObject({ objectId: 'x', level: 0, createdMs: 0, sources: [], datasets: [only] })
  assert.throws(() => object(place('b', 'x')), /keeps its tenant/)
  assert.throws(() => object(place('a', 'y')), /keeps its service/)
  assert.equal(object(place('a', 'x')).descriptors.length, 1)
})

test('stack keys are written where they take a small part of the segment', () => {
  const hasKeys = (dataset: Dataset): boolean => {
    const numbers = Uint32Array.from({ length: dataset.symbols.stackCount }, (_, i) => (i * 7919) % 2003)
    const object = buildObject([{ ...dataset, stackKeys: { dictionaryId: new Uint8Array(12), numbers } }])
    const descriptor = object.descriptors[0]!
    const region = regionOf(object)
    const fetched = new FetchedRanges([{ offset: descriptor.offset, bytes: region }])
    return readStackKeys(openDataset(region, descriptor, TEST_CODEC), fetched) !== undefined
  }
  const shape = { startMs: WINDOW_START_MS, profiles: 100, rows: 100, symbols: distinctStacks(200, 0) }
  assert.deepEqual([tiny(), manyRows({ ...shape, random: seededRandom(3) })].map(hasKeys), [false, true])
})
