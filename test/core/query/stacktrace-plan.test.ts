import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FetchedRanges, openDataset } from '#core/block/read.ts'
import { encodeDataset, encodeObject } from '#core/block/write.ts'
import type { Dataset } from '#core/block/dataset.ts'
import { FunctionTree } from '#core/flamegraph/tree.ts'
import { getLabel, type Labels } from '#core/labels/labels.ts'
import { addStacktraces, type ProfileQuery, selectProfiles, stacktracesRanges } from '#core/query/aggregate.ts'
import { planStacktraces } from '#core/query/stacktrace-plan.ts'
import { functionLevelOf, TEST_CODEC } from '../../support/block-objects.ts'
import { CPU_GROUP, makeDataset, makeLabels, WINDOW_START_MS, WINDOW_START_NANOS } from '../../support/datasets.ts'
import { repetitiveDataset } from '../../support/rollups.ts'
import { treeStacks } from '../../support/write-path.ts'

const HOUR_MS = 3_600_000
const CPU = ':cpu:nanoseconds:cpu:nanoseconds'

interface Answer {
  readonly stacks: Record<string, bigint>
  readonly rows: number
  /** [hour of the window, scope] of each rollup used. */
  readonly rollups: number[][]
  readonly samplesOf: number[]
  readonly bytes: number
}

/** Answers from the ranges of the plan alone, with as many rollups as the fraction allows. */
function ask(dataset: Dataset, query: Partial<ProfileQuery>, rollupBytesFraction: number): Answer {
  const functionLevel = functionLevelOf(dataset)
  const encoded = encodeDataset(dataset, { codec: TEST_CODEC, functionLevel, rollupBytesFraction })
  const { tenant, service, windowStartMs, windowMs } = dataset
  const { bytes, descriptors } = encodeObject({
    objectId: '01JAB3VW7Z0000000000000000',
    level: 1,
    createdMs: 0,
    sources: [],
    datasets: [{ tenant, service, windowStartMs, windowMs, encoded }],
  })
  const head = openDataset(encoded.bytes.slice(0, encoded.headBytes), descriptors[0]!, TEST_CODEC)
  const range = { startMs: 0, endMs: Number.MAX_SAFE_INTEGER, skip: [] }
  const plan = planStacktraces(
    head,
    selectProfiles(head, { profileType: CPU, matches: () => true, ...range, ...query }),
  )
  const ranges = stacktracesRanges(plan)
  const tree = new FunctionTree()
  const parts = ranges.map(({ offset, lengthBytes }) => ({ offset, bytes: bytes.slice(offset, offset + lengthBytes) }))
  const rows = plan.sources.length === 0 ? 0 : addStacktraces(plan, new FetchedRanges(parts), tree)
  const firstHour = windowStartMs / HOUR_MS
  return {
    stacks: treeStacks(tree),
    rows,
    rollups: plan.sources.flatMap(({ rollups }) =>
      rollups.map((r) => [head.rollups!.hour[r]! - firstHour, head.rollups!.scope[r]!]),
    ),
    samplesOf: plan.sources.flatMap(({ positions }) => [...positions]),
    bytes: ranges.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0),
  }
}

const selector = fc.constantFrom<(labels: Labels) => boolean>(
  () => true,
  (labels) => getLabel(labels, 'pod') === 'pod-1',
  (labels) => getLabel(labels, 'pod') !== 'pod-0',
)
const instant = fc.oneof(
  fc.integer({ min: 0, max: 3 }).map((hour) => hour * HOUR_MS),
  fc.nat(3 * HOUR_MS),
)
const range = fc.tuple(instant, fc.nat(1), instant).map(([a, one, b]) => ({
  startMs: WINDOW_START_MS + Math.min(a, b),
  endMs: WINDOW_START_MS + Math.max(a, b) - one,
}))
const withSkip = repetitiveDataset().chain((dataset) =>
  fc.record({
    dataset: fc.constant(dataset),
    skip: fc.oneof(
      fc.constant([]),
      fc.subarray(
        Array.from({ length: dataset.headers.count }, (_, h) => h),
        { maxLength: 3 },
      ),
    ),
  }),
)

test('answers from rollups and from samples are equal, for any range, selector and skip list', () => {
  let fromRollups = 0
  fc.assert(
    fc.property(withSkip, range, selector, ({ dataset, skip }, { startMs, endMs }, matches) => {
      const query = { startMs, endMs, matches, skip }
      const samples = ask(dataset, query, 0)
      const rollups = ask(dataset, query, 1000)
      fromRollups += rollups.rollups.length
      assert.deepEqual(rollups.stacks, samples.stacks)
      assert.deepEqual(samples.rollups, [])
    }),
    { numRuns: 300 },
  )
  assert.ok(fromRollups > 20, `${fromRollups} rollups were used`)
})

/** Four hours, two series with eight profiles an hour each. */
const fourHours = makeDataset({
  series: ['pod-0', 'pod-1'].map((pod) => makeLabels({ pod })),
  groups: [CPU_GROUP],
  windowMs: 6 * HOUR_MS,
  profiles: Array.from({ length: 64 }, (_, i) => ({
    series: i % 2,
    group: 0,
    timeNanos: WINDOW_START_NANOS + BigInt(Math.floor(i / 16)) * 3_600_000_000_000n + BigInt(i % 16) * 60_000_000_000n,
    id: i,
    samples: [0, 1, 2].map((s) => ({ stack: [`f${s}`, 'main'], values: [1n, 10n] })),
  })),
})

test('hours wholly inside come from rollups, at most two edge hours from samples', () => {
  const from = { startMs: WINDOW_START_MS + 5 * 60_000, endMs: WINDOW_START_MS + 3 * HOUR_MS + 5 * 60_000 }
  const answer = ask(fourHours, from, 1000)
  assert.deepEqual(answer.rollups, [
    [1, 0],
    [2, 0],
  ])
  const edges = new Set(answer.samplesOf.map((h) => Math.floor((h % 32) / 8)))
  assert.deepEqual([...edges].sort(), [0, 3])
  assert.equal(answer.rows, 2 * 3 + (11 + 6) * 3)
})

test('an hour is whole if all its profiles are inside, wherever the range ends', () => {
  const toLast = { startMs: WINDOW_START_MS, endMs: WINDOW_START_MS + 15 * 60_000 }
  assert.deepEqual(ask(fourHours, toLast, 1000).rollups, [[0, 0]])
  assert.deepEqual(ask(fourHours, { ...toLast, endMs: toLast.endMs - 1 }, 1000).rollups, [[0, 1]])
})

test('a part of the series is read from its own rollups', () => {
  const one = ask(fourHours, { matches: (labels) => getLabel(labels, 'pod') === 'pod-1' }, 1000)
  assert.deepEqual(
    one.rollups,
    [0, 1, 2, 3].map((hour) => [hour, 2]),
  )
  assert.deepEqual(one.samplesOf, [])
  assert.equal(one.rows, 4 * 3)
})

test('a skipped profile sends its series and hour to the samples, and no other', () => {
  const answer = ask(fourHours, { skip: [9] }, 1000)
  assert.deepEqual(answer.rollups, [
    [0, 0],
    [1, 2],
    [2, 0],
    [3, 0],
  ])
  assert.deepEqual(answer.samplesOf, [8, 10, 11, 12, 13, 14, 15])
})

test('bytes of rollups are read only where they are used, and samples only where they are not', () => {
  const none = ask(fourHours, { startMs: WINDOW_START_MS, endMs: WINDOW_START_MS }, 1000)
  assert.deepEqual(none.rollups, [])
  const all = ask(fourHours, {}, 1000)
  assert.ok(all.bytes < ask(fourHours, {}, 0).bytes + 200)
  assert.deepEqual(all.samplesOf, [])
})
