import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createQueryBackend } from '../../../apps/query-backend/app.ts'
import { mergeDatasets } from '#core/compaction/merge.ts'
import type { SourceObject } from '#core/rpc/metastore.ts'
import type { PointsRequest } from '#core/rpc/query-backend.ts'
import { createCodec } from '#platform/codec.ts'
import { countingStore } from '#platform/object-store/counting.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import { CPU_GROUP, makeDataset, makeLabels, WINDOW_START_MS, WINDOW_START_NANOS } from '../../support/datasets.ts'
import { noisyDataset } from '../../support/noisy-dataset.ts'
import { putObject } from '../../support/objects.ts'

const store = countingStore(createMemoryStore())
const backend = createQueryBackend({ store, codec: createCodec(), regex: createRegexCompiler() })

function ask(objects: SourceObject[]) {
  return {
    profileType: 'cpu:cpu:nanoseconds:cpu:nanoseconds',
    matchers: [],
    startMs: WINDOW_START_MS,
    endMs: WINDOW_START_MS + 3_600_000,
    originMs: WINDOW_START_MS,
    stepMs: 60_000,
    groupBy: ['pod'],
    objects,
    spans: false,
    exemplars: true,
    best: false,
  }
}

function dataset(pod: string, profiles: number) {
  return makeDataset({
    service: 'shop',
    series: [makeLabels({ __name__: 'cpu', pod })],
    groups: [CPU_GROUP],
    profiles: Array.from({ length: profiles }, (_, i) => ({
      series: 0,
      group: 0,
      timeNanos: WINDOW_START_NANOS + BigInt(i) * 7_000_000_000n,
      id: (pod.length * 1000 + i) << 16,
      samples: [
        { stack: ['work', 'main'], values: [1n, BigInt(i + 1)], span: BigInt(i % 3), trace: [0n, BigInt(i % 3)] },
        { stack: ['idle'], values: [1n, 5n] },
      ],
    })),
  })
}

test('points, exemplars and series under a call site are the same before and after compaction', async () => {
  const sources = [dataset('a', 40), dataset('bb', 25)]
  const apart = await Promise.all(sources.map((each, i) => putObject(store, 10 + i, [{ dataset: each }])))
  const merged = mergeDatasets(sources.map((each) => ({ dataset: each, skip: [] })))
  const together = await putObject(store, 12, [{ dataset: merged.dataset, functionLevel: merged.functionLevel }], 1)
  for (const spans of [false, true]) {
    const before = await backend.points({ ...ask(apart), spans })
    const after = await backend.points({ ...ask([together]), spans })
    assert.deepEqual(after.series, before.series)
    const count = before.series.flatMap(({ counts }) => counts).reduce((a, b) => a + b, 0)
    assert.equal(count, spans ? 42 : 65)
  }
  const series = { ...ask(apart), groupBy: [], callSite: ['main'] }
  const before = await backend.timeSeries(series)
  assert.equal(before.selected, true)
  assert.deepEqual((await backend.timeSeries({ ...series, objects: [together] })).series, before.series)
  const total = before.series.flatMap(({ sums }) => sums).reduce((a, b) => a + b, 0n)
  assert.equal(total, BigInt((40 * 41) / 2 + (25 * 26) / 2))
})

test('points of profiles read heads and ids of a large dataset, not its samples', async () => {
  const merged = mergeDatasets([{ dataset: noisyDataset({ service: 'big', profiles: 120, samples: 600 }), skip: [] }])
  const object = await putObject(store, 20, [{ dataset: merged.dataset, functionLevel: merged.functionLevel }], 1)
  const { headBytes, sizeBytes } = object.datasets[0]!.descriptor
  store.takeCounts()
  const { stats, series } = await backend.points({ ...ask([object]), profileType: ':cpu:nanoseconds:cpu:nanoseconds' })
  const { ranges, rangeBytes } = store.takeCounts()
  assert.deepEqual([ranges, rangeBytes], [2, headBytes + 120 * 16], `of ${sizeBytes} bytes`)
  assert.deepEqual([stats.profiles, stats.samples], [120, 0])
  assert.ok(series.length > 0)
})

test('a selector that names nothing has no points', async () => {
  const object = await putObject(store, 30, [{ dataset: dataset('a', 3) }])
  const matchers = [{ name: 'pod', op: '=', value: 'none' }]
  assert.deepEqual((await backend.points({ ...ask([object]), matchers })).series, [])
})

test('points under a call site or a frame filter have the values of those samples alone', async () => {
  const sources = [dataset('a', 12), dataset('bb', 9)]
  const apart = await Promise.all(sources.map((each, i) => putObject(store, 20 + i, [{ dataset: each }])))
  const merged = mergeDatasets(sources.map((each) => ({ dataset: each, skip: [] })))
  const together = await putObject(store, 22, [{ dataset: merged.dataset, functionLevel: merged.functionLevel }], 1)
  const noFilter = { includeNames: [], excludeNames: [], includeExpressions: [], excludeExpressions: [] }
  const cases: [Partial<PointsRequest>, ((i: number) => number) | undefined][] = [
    [{ callSite: ['main', 'work'] }, (i: number) => i + 1],
    [{ callSite: ['idle'] }, () => 5],
    [{ frames: { ...noFilter, excludeExpressions: ['^i'] } }, (i: number) => i + 1],
    [{ callSite: ['nobody'] }, undefined],
  ]
  for (const [wish, valueOf] of cases) {
    const [before, after] = [
      await backend.points({ ...ask(apart), ...wish }),
      await backend.points({ ...ask([together]), ...wish }),
    ]
    assert.deepEqual(after.series, before.series, JSON.stringify(wish))
    assert.equal(before.filtered, true)
    const expected =
      valueOf === undefined ? [] : [12, 9].flatMap((count) => Array.from({ length: count }, (_, i) => valueOf(i)))
    const values = before.series.flatMap((each) =>
      each.values.flatMap((value, i) => new Array(each.counts[i]!).fill(Number(value)) as number[]),
    )
    assert.deepEqual(
      values.sort((x, y) => x - y),
      expected.sort((x, y) => x - y),
    )
  }
  // Spans lie in `work` alone.
  const spans = { ...ask(apart), spans: true }
  assert.deepEqual((await backend.points({ ...spans, callSite: ['idle'] })).series, [])
  assert.deepEqual(
    (await backend.points({ ...spans, callSite: ['main'] })).series,
    (await backend.points(spans)).series,
  )
})
