import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Dataset } from '#core/block/dataset.ts'
import { FUNCTION_TOTALS_FRACTION } from '#core/block/function-totals.ts'
import { RollupBuilder } from '#core/block/rollup-build.ts'
import { decodeDataset, openDataset, verifyObject } from '#core/block/read.ts'
import { findSection } from '#core/block/section-table.ts'
import { encodeDataset, encodeObject, type ObjectDataset } from '#core/block/write.ts'
import { mergeDatasets } from '#core/compaction/merge.ts'
import { mergeRegions } from '#core/compaction/merge-regions.ts'
import type { NotConserved } from '#core/compaction/not-conserved.ts'
import { MergeMemory } from '#core/compaction/service-symbols.ts'
import type { CinderError } from '#core/errors.ts'
import { hourOfNanos, MS_PER_HOUR } from '#core/units.ts'
import { createCodec } from '#platform/codec.ts'
import { contentsOf } from '../../support/contents.ts'
import {
  arbitraryDataset,
  CPU_GROUP,
  makeDataset,
  makeLabels,
  WINDOW_START_MS,
  WINDOW_START_NANOS,
} from '../../support/datasets.ts'
import { noisyDataset } from '../../support/noisy-dataset.ts'
import { encodeSource } from '../../support/objects.ts'
import { distinctStacks, plainDataset } from '../../support/plain-dataset.ts'
import { seededRandom } from '../../support/profiles.ts'
import { repetitiveDataset } from '../../support/rollups.ts'

const codec = createCodec()
const ROOMY = 1 << 30

function regionOf(dataset: Dataset, skip: readonly number[] = [], number = 0) {
  const { source, bytes } = encodeSource(number, [{ dataset }])
  const { descriptor } = source.datasets[0]!
  return { descriptor, skip, region: bytes.subarray(descriptor.offset, descriptor.offset + descriptor.sizeBytes) }
}

function spansHours({ headers: { timeNanos } }: Dataset): boolean {
  return new Set(Array.from(timeNanos.lo, (lo, h) => hourOfNanos(timeNanos.hi[h]! | 0, lo))).size > 1
}

function windowOf({ windowStartMs, windowMs }: Dataset) {
  return { windowStartMs, windowMs }
}

function decode(dataset: ObjectDataset) {
  const { bytes, descriptors } = encodeObject({
    objectId: '01JD8ZQ4T6M3B5X9W2R1C0V87K',
    level: 1,
    createdMs: 0,
    sources: [],
    datasets: [dataset],
  })
  verifyObject(bytes, codec)
  const descriptor = descriptors[0]!
  const region = bytes.subarray(descriptor.offset, descriptor.offset + descriptor.sizeBytes)
  return { dataset: decodeDataset(region, descriptor, codec), head: openDataset(region, descriptor, codec) }
}

const withSkip = (of: fc.Arbitrary<Dataset>) =>
  of.chain((dataset) =>
    fc
      .subarray(
        Array.from({ length: dataset.headers.count }, (_, i) => i),
        { maxLength: dataset.headers.count - 1 },
      )
      .map((positions) => ({ dataset, skip: positions.sort((a, b) => a - b) })),
  )

test('regions merged frame by frame are what their datasets merge to, byte for byte', () => {
  fc.assert(
    fc.property(
      fc.array(withSkip(fc.oneof(arbitraryDataset(), repetitiveDataset())), { minLength: 1, maxLength: 4 }),
      (inputs) => {
        const window = { windowStartMs: WINDOW_START_MS - (WINDOW_START_MS % 86_400_000), windowMs: 86_400_000 }
        const regions = inputs.map(({ dataset, skip }, i) => regionOf(dataset, skip, i))
        const merged = mergeRegions(regions, { codec, window, budgetBytes: ROOMY })
        assert.equal(merged.inputs, inputs.length)
        const whole = mergeDatasets(inputs, window)
        assert.deepEqual(contentsOf(decode(merged.dataset).dataset), contentsOf(whole.dataset))
        const { functionLevel } = whole
        const functionTotalsFraction = spansHours(whole.dataset) ? FUNCTION_TOTALS_FRACTION : 0
        const options = { codec, functionLevel, functionTotalsFraction }
        assert.deepEqual(merged.dataset.encoded, encodeDataset(whole.dataset, options))
      },
    ),
    { numRuns: 60 },
  )
})

test('a merge of several hours that does not conserve brings its output along, without totals', () => {
  const windowMs = 2 * MS_PER_HOUR
  const profiles = [0, 1].map((hour) => ({
    series: 0,
    group: 0,
    id: hour,
    timeNanos: WINDOW_START_NANOS + BigInt(hour * MS_PER_HOUR) * 1_000_000n,
    samples: [{ stack: ['f'], values: [1n, 5n] }],
  }))
  const dataset = makeDataset({ series: [makeLabels({ pod: 'a' })], groups: [CPU_GROUP], windowMs, profiles })
  // A header that does not say what its rows hold.
  dataset.headers.totals[0]!.lo[1]! += 1
  assert.throws(
    () => mergeRegions([regionOf(dataset)], { codec, window: windowOf(dataset), budgetBytes: ROOMY }),
    (error: NotConserved) => error.reason === 'conservation' && error.dataset !== undefined,
  )
})

test('datasets of several hours get their total by function, where it pays', () => {
  const windowMs = 6 * MS_PER_HOUR
  const window = { windowStartMs: WINDOW_START_MS, windowMs }
  /** Sixty profiles of the same forty stacks, with other values. */
  const inHour = (hour: number): Dataset =>
    makeDataset({
      series: [makeLabels({ pod: 'a' })],
      groups: [CPU_GROUP],
      windowMs,
      profiles: Array.from({ length: 60 }, (_, i) => ({
        series: 0,
        group: 0,
        timeNanos: WINDOW_START_NANOS + BigInt(hour * MS_PER_HOUR + i) * 1_000_000n,
        id: hour * 100 + i,
        samples: Array.from({ length: 40 }, (_s, s) => {
          const count = BigInt(1 + ((s * 31 + i * 17) % 199))
          return { stack: [`f${s % 7}`, `g${s}`], values: [count, count * 10_000_000n + BigInt(s + i)] }
        }),
      })),
    })
  const shares: number[] = []
  const merge = (datasets: readonly Dataset[]) => {
    const regions = datasets.map((dataset, i) => regionOf(dataset, [], i))
    const onShare = (share: number) => void shares.push(share)
    const { dataset, totalsFault } = mergeRegions(regions, { codec, window, budgetBytes: ROOMY, onShare })
    const { head, dataset: decoded } = decode(dataset)
    assert.equal(decoded.headers.count, 60 * datasets.length)
    return { has: findSection(head.table, 'functionTotals') !== undefined, totalsFault }
  }
  assert.deepEqual(merge([inHour(0)]), { has: false, totalsFault: undefined })
  assert.deepEqual(merge([inHour(0), inHour(1)]), { has: true, totalsFault: undefined })
  assert.equal(shares.at(-1), 1)

  // Totals that do not add up cost the dataset its totals, not the job its merge.
  const { takeTotals } = RollupBuilder.prototype
  RollupBuilder.prototype.takeTotals = function (this: RollupBuilder) {
    const totals = takeTotals.call(this)
    totals[0]!.values[0]!.lo[0]! ^= 1
    return totals
  }
  try {
    const { has, totalsFault } = merge([inHour(0), inHour(1)])
    assert.equal(has, false)
    assert.match(totalsFault ?? '', /function totals/)
  } finally {
    RollupBuilder.prototype.takeTotals = takeTotals
  }
})

test('a merge that remembers earlier ones holds what one without memory holds', () => {
  const memory = new MergeMemory()
  fc.assert(
    fc.property(
      fc.array(withSkip(fc.oneof(arbitraryDataset(), repetitiveDataset())), { minLength: 1, maxLength: 3 }),
      (inputs) => {
        const window = { windowStartMs: WINDOW_START_MS - (WINDOW_START_MS % 86_400_000), windowMs: 86_400_000 }
        const regions = inputs.map(({ dataset, skip }, i) => regionOf(dataset, skip, i))
        const merged = mergeRegions(regions, { codec, window, budgetBytes: ROOMY, memory })
        assert.deepEqual(contentsOf(decode(merged.dataset).dataset), contentsOf(mergeDatasets(inputs, window).dataset))
        // What it made of the same stacks before is still good.
        const again = mergeRegions(regions, { codec, window, budgetBytes: ROOMY, memory })
        assert.deepEqual(again.dataset.encoded, merged.dataset.encoded)
      },
    ),
    { numRuns: 60 },
  )
})

test('a memory that fills the budget gives way to the merge', () => {
  const memory = new MergeMemory()
  const datasets = [1, 2].map((i) => noisyDataset({ service: 'shop', profiles: 3 + i, samples: 60 }))
  const window = windowOf(datasets[0]!)
  const regions = datasets.map((dataset, i) => regionOf(dataset, [], i))
  mergeRegions(regions, { codec, window, budgetBytes: ROOMY, memory })
  assert.ok(memory.heldBytes > 0)
  for (let budgetBytes = 4 << 20; budgetBytes > 1 << 14; budgetBytes = Math.floor(budgetBytes * 0.8)) {
    const taken = (known?: MergeMemory): number => {
      try {
        return mergeRegions([regions[1]!], { codec, window, budgetBytes, ...(known && { memory: known }) }).inputs
      } catch {
        return 0
      }
    }
    assert.equal(taken(memory), taken(), `of ${budgetBytes} bytes`)
  }
})

const STACKS = distinctStacks(8_000, 0)

/** Rows of two frames: 20 profiles of 4,000 samples. */
function wide(seed: number): Dataset {
  const startMs = WINDOW_START_MS + seed * 1_000
  return plainDataset({ startMs, profiles: 20, rows: 4_000, symbols: STACKS, random: seededRandom(seed + 1) })
}

test('datasets of several frames, whose profiles alternate', () => {
  const datasets = [wide(0), wide(1)]
  const regions = datasets.map((dataset, i) => regionOf(dataset, [], i))
  assert.ok(openDataset(regions[0]!.region, regions[0]!.descriptor, codec).frames.length > 1)
  const merged = mergeRegions(regions, { codec, window: windowOf(datasets[0]!), budgetBytes: ROOMY })
  const whole = mergeDatasets(datasets.map((dataset) => ({ dataset, skip: [] })))
  assert.deepEqual(merged.dataset.encoded, encodeDataset(whole.dataset, { codec, functionLevel: whole.functionLevel }))
  decode(merged.dataset)
})

test('past the budget a merge ends with the inputs so far; one alone that passes it is refused before it is read', () => {
  const datasets = [1, 2, 3].map((i) => noisyDataset({ service: 'shop', profiles: 3 + i, samples: 60 }))
  const regions = datasets.map((dataset, i) => regionOf(dataset, [], i))
  const counts = new Set<number>()
  for (let budgetBytes = 4 << 20; budgetBytes > 1 << 14; budgetBytes = Math.floor(budgetBytes * 0.9)) {
    try {
      const { inputs, dataset } = mergeRegions(regions, { codec, window: windowOf(datasets[0]!), budgetBytes })
      counts.add(inputs)
      const expected = datasets.slice(0, inputs).reduce((sum, { headers }) => sum + headers.count, 0)
      assert.equal(dataset.encoded.profileCount, expected)
    } catch (error) {
      const { kind, reason } = error as CinderError
      assert.deepEqual([kind, reason], ['resource_exhausted', 'over_budget'])
      counts.add(0)
    }
  }
  assert.deepEqual(
    [0, 1, 3].filter((count) => !counts.has(count)),
    [],
  )
})
