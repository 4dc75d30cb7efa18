import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Dataset } from '#core/block/dataset.ts'
import { FetchedRanges, openDataset } from '#core/block/read.ts'
import { encodeDataset, encodeObject } from '#core/block/write.ts'
import { mergeDatasets, type MergeInput } from '#core/compaction/merge.ts'
import { FunctionTree } from '#core/flamegraph/tree.ts'
import { getLabel, type Labels } from '#core/labels/labels.ts'
import {
  addStacktraces,
  addTimeSeries,
  type ProfileQuery,
  selectProfiles,
  stacktracesRanges,
} from '#core/query/aggregate.ts'
import { planStacktraces } from '#core/query/stacktrace-plan.ts'
import { TimeSeriesBuilder } from '#core/query/time-series.ts'
import type { FunctionLevel } from '#core/symbols/function-level.ts'
import { getBigInt } from '#core/wire/int64.ts'
import { createCodec } from '#platform/codec.ts'
import {
  arbitraryDataset,
  CPU_GROUP,
  makeDataset,
  makeLabels,
  WINDOW_START_MS,
  WINDOW_START_NANOS,
} from '../../support/datasets.ts'
import { stackNames } from '../../support/symbols.ts'
import { treeStacks } from '../../support/write-path.ts'

const codec = createCodec()
/** Series of drawn datasets have no `__name__`. */
const CPU = ':cpu:nanoseconds:cpu:nanoseconds'
const HOUR = { startMs: WINDOW_START_MS, endMs: WINDOW_START_MS + 3_600_000 - 1 }
const EVERYTHING: ProfileQuery = { profileType: CPU, matches: () => true, ...HOUR, skip: [] }

interface Answer {
  readonly stacks: Record<string, bigint>
  readonly total: bigint
  readonly profiles: number
  readonly samples: number
}

/** Answers from the encoded dataset, reading no byte but those that the ranges name. */
function ask(dataset: Dataset, query: Partial<ProfileQuery> = {}, functionLevel?: FunctionLevel): Answer {
  const encoded = encodeDataset(dataset, { codec, functionLevel })
  const { tenant, service, windowStartMs, windowMs } = dataset
  const { bytes, descriptors } = encodeObject({
    objectId: '01JAB3VW7Z0000000000000000',
    level: functionLevel === undefined ? 0 : 1,
    createdMs: 0,
    sources: [],
    datasets: [{ tenant, service, windowStartMs, windowMs, encoded }],
  })
  const descriptor = descriptors[0]!
  const head = openDataset(bytes.slice(descriptor.offset, descriptor.offset + descriptor.headBytes), descriptor, codec)
  const profiles = selectProfiles(head, { ...EVERYTHING, ...query })
  const plan = planStacktraces(head, profiles)
  const parts = stacktracesRanges(plan).map(({ offset, lengthBytes }) => ({
    offset,
    bytes: bytes.slice(offset, offset + lengthBytes),
  }))
  const tree = new FunctionTree()
  const samples = profiles.length === 0 ? 0 : addStacktraces(plan, new FetchedRanges(parts), tree)
  const builder = new TimeSeriesBuilder([])
  // Points at both ends of the hour: together they cover it.
  const points = { startMs: HOUR.startMs, endMs: HOUR.startMs + 3_600_000, stepMs: 3_600_000 }
  addTimeSeries(head, profiles, points, builder)
  const series = builder.build()
  return {
    stacks: treeStacks(tree),
    total: BigInt.asIntN(
      64,
      series.flatMap(({ sums }) => sums).reduce((sum, value) => sum + value, 0n),
    ),
    profiles: series.flatMap(({ counts }) => counts).reduce((sum, count) => sum + count, 0),
    samples,
  }
}

/** The slow truth, from the rows in memory. */
function expectedOf(inputs: readonly MergeInput[], query: Partial<ProfileQuery> = {}): Omit<Answer, 'samples'> {
  const { startMs, endMs, matches } = { ...EVERYTHING, ...query }
  const stacks = new Map<string, bigint>()
  let total = 0n
  let profiles = 0
  for (const { dataset, skip } of inputs) {
    const { headers, symbols } = dataset
    for (let h = 0; h < headers.count; h++) {
      const group = headers.group[h]!
      const type = dataset.groups[group]!.types.findIndex((each) => each.type === 'cpu')
      const nanos = getBigInt(headers.timeNanos, h)
      const isInRange = nanos >= BigInt(startMs) * 1_000_000n && nanos <= BigInt(endMs) * 1_000_000n
      if (type < 0 || skip.includes(h) || !isInRange || !matches(dataset.series[headers.series[h]!]!)) continue
      const own = getBigInt(headers.totals[type]!, h)
      if (own === 0n) continue
      total += own
      profiles++
      const rows = dataset.rows[group]!
      for (let row = headers.rowStart[h]!; row < headers.rowStart[h]! + headers.rowLength[h]!; row++) {
        const path = stackNames(symbols, rows.stackId[row]!).reverse().join(';')
        if (path !== '') stacks.set(path, (stacks.get(path) ?? 0n) + getBigInt(rows.values[type]!, row))
      }
    }
  }
  const wrapped = [...stacks].map(([path, value]) => [path, BigInt.asIntN(64, value)] as const)
  return {
    stacks: Object.fromEntries(wrapped.filter(([, value]) => value !== 0n).sort(([a], [b]) => (a < b ? -1 : 1))),
    total: BigInt.asIntN(64, total),
    profiles,
  }
}

function withoutSamples({ stacks, total, profiles }: Answer): Omit<Answer, 'samples'> {
  return { stacks, total, profiles }
}

const withSkip = arbitraryDataset().chain((dataset) =>
  fc.record({
    dataset: fc.constant(dataset),
    skip: fc
      .subarray(
        Array.from({ length: dataset.headers.count }, (_, i) => i),
        { maxLength: dataset.headers.count - 1 },
      )
      .map((positions) => positions.sort((a, b) => a - b)),
  }),
)
const pod = fc.constantFrom<(labels: Labels) => boolean>(
  () => true,
  (labels) => getLabel(labels, 'pod') === 'pod-1',
  (labels) => getLabel(labels, 'pod') !== 'pod-0',
)
const range = fc
  .tuple(fc.nat(3_600_000), fc.nat(3_600_000))
  .map(([a, b]) => ({ startMs: WINDOW_START_MS + Math.min(a, b), endMs: WINDOW_START_MS + Math.max(a, b) }))

test('a flame graph sums the rows that have a stack, a time series all totals; skips, ranges and matchers hold', () => {
  fc.assert(
    fc.property(withSkip, range, pod, (input, { startMs, endMs }, matches) => {
      const query = { startMs, endMs, matches }
      const actual = ask(input.dataset, { ...query, skip: input.skip })
      assert.deepEqual(withoutSamples(actual), expectedOf([input], query))
    }),
    { numRuns: 150 },
  )
})

test('a merge answers as its inputs did, and with the stored function level as without', () => {
  fc.assert(
    fc.property(
      fc.array(withSkip, { minLength: 1, maxLength: 3 }),
      range,
      pod,
      (inputs, { startMs, endMs }, matches) => {
        const query = { startMs, endMs, matches }
        const { dataset, functionLevel } = mergeDatasets(inputs)
        const expected = expectedOf(inputs, query)
        const fromLines = ask(dataset, query)
        assert.deepEqual(withoutSamples(fromLines), expected)
        assert.deepEqual(withoutSamples(ask(dataset, query, functionLevel)), expected)
      },
    ),
    { numRuns: 80 },
  )
})

function oneProfile(
  timeNanos: bigint,
  values: bigint[],
  id = 1,
): Parameters<typeof makeDataset>[0]['profiles'][number] {
  return {
    series: 0,
    group: 0,
    timeNanos,
    id,
    samples: values.map((value) => ({ stack: ['f', 'main'], values: [1n, value] })),
  }
}

test('ranges are inclusive at both ends, to the nanosecond', () => {
  const nanos = WINDOW_START_NANOS + 5_000_000n
  const dataset = makeDataset({
    series: [makeLabels({ pod: 'a' })],
    groups: [CPU_GROUP],
    profiles: [oneProfile(nanos - 1n, [1n], 1), oneProfile(nanos, [10n], 2), oneProfile(nanos + 1n, [100n], 3)],
  })
  const ms = Number(nanos / 1_000_000n)
  assert.equal(ask(dataset, { startMs: ms, endMs: ms }).total, 10n)
  assert.equal(ask(dataset, { startMs: ms - 1, endMs: ms }).total, 11n)
  assert.equal(ask(dataset, { startMs: ms, endMs: ms + 1 }).total, 110n)
  assert.equal(ask(dataset, { startMs: ms + 1, endMs: ms + 9 }).total, 0n)
})

test('the largest int64 is exact in both answers', () => {
  const dataset = makeDataset({
    series: [makeLabels({ pod: 'a' })],
    groups: [CPU_GROUP],
    profiles: [oneProfile(WINDOW_START_NANOS, [2n ** 63n - 1n])],
  })
  const { stacks, total } = ask(dataset)
  assert.deepEqual([stacks, total], [{ 'main;f': 2n ** 63n - 1n }, 2n ** 63n - 1n])
})

test('empty stacks count in time series and have no place in the flame graph', () => {
  const dataset = makeDataset({
    series: [makeLabels({ pod: 'a' })],
    groups: [CPU_GROUP],
    profiles: [
      {
        series: 0,
        group: 0,
        timeNanos: WINDOW_START_NANOS,
        id: 1,
        samples: [
          { stack: [], values: [1n, 40n] },
          { stack: ['f'], values: [1n, 2n] },
        ],
      },
    ],
  })
  assert.deepEqual(ask(dataset), { stacks: { f: 2n }, total: 42n, profiles: 1, samples: 2 })
})

test('a query that means nothing here selects nothing and reads nothing', () => {
  const [dataset] = fc.sample(arbitraryDataset(), { numRuns: 1, seed: 7 })
  const nothing = { stacks: {}, total: 0n, profiles: 0, samples: 0 }
  assert.deepEqual(ask(dataset!, { profileType: 'x:cpu:nanoseconds:cpu:nanoseconds' }), nothing)
  assert.deepEqual(ask(dataset!, { matches: () => false }), nothing)
  assert.deepEqual(ask(dataset!, { startMs: 0, endMs: WINDOW_START_MS - 1 }), nothing)
  const all = Array.from({ length: dataset!.headers.count }, (_, i) => i)
  assert.deepEqual(ask(dataset!, { skip: all }), nothing)
})
