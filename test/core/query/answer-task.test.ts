/** Tasks give what their steps give one after the other, folded before or not. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { buildFlameGraph, type FlameGraph } from '#core/flamegraph/flamegraph.ts'
import { connectGraphText } from '#core/flamegraph/graph-text.ts'
import { encodeTree } from '#core/flamegraph/tree.ts'
import { type AnswerTask, partsOf, runAnswerTask, taskBuffers, taskBytes, WORK_HERE } from '#core/query/answer-task.ts'
import { encodeHeatmaps, heatmapsText } from '#core/query/heatmap-wire.ts'
import { finishHeatmap } from '#core/query/heatmap.ts'
import { encodePointsPart } from '#core/query/points-part.ts'
import { withExemplars } from '#core/query/series-exemplars.ts'
import { encodeSeriesPart } from '#core/query/series-part.ts'
import { seriesAnswersText } from '#core/query/series-text.ts'
import { encodeSeriesAnswers } from '#core/query/series-wire.ts'
import { StackProfile } from '#core/query/stack-profile.ts'
import { finishTimeSeries } from '#core/query/time-series.ts'
import { profileText } from '#core/pprof/profile-text.ts'
import { allocateInt64Column } from '#core/wire/int64.ts'
import { type Stack, treeOf } from '../flamegraph/stacks.ts'
import { symbolsOf } from '../../support/symbols.ts'

const HEADER = {
  sampleType: { type: 'cpu', unit: 'nanoseconds' },
  periodType: { type: 'cpu', unit: 'nanoseconds' },
  period: 1n,
  timeNanos: 1n,
}
const TYPE = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds'
const LIMITS = { nodesMax: 1_000, maxNodes: 5 }
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const path = fc
  .array(fc.constantFrom('a', 'b', 'main', 'é'), { minLength: 1, maxLength: 4 })
  .map((names) => names.join(';'))
const stacksOf = fc.array(fc.tuple(path, fc.bigInt({ min: 1n, max: 99n })) as fc.Arbitrary<Stack>, { maxLength: 8 })

function encodeStacks(stacks: readonly Stack[]): Uint8Array {
  const profile = new StackProfile()
  for (const [frames, value] of stacks) {
    const sums = allocateInt64Column(1)
    sums.lo[0] = Number(value)
    profile.add({ symbols: symbolsOf([frames.split(';').toReversed()]), sums })
  }
  return profile.encode()
}

test('a flame graph is that of all stacks, in every encoding, folded before or not', () => {
  fc.assert(
    fc.property(fc.array(stacksOf, { minLength: 1, maxLength: 4 }), (answers) => {
      const parts = () => answers.map((stacks) => encodeTree(treeOf(stacks)))
      const graph: FlameGraph = buildFlameGraph(treeOf(answers.flat()), LIMITS.maxNodes)
      const task = { kind: 'flame-graph', ...LIMITS } as const
      assert.equal(text(runAnswerTask({ ...task, parts: parts(), as: 'json' })), connectGraphText(graph))
      const folded = [runAnswerTask({ kind: 'fold-trees', parts: parts(), nodesMax: 1_000 })]
      for (const as of ['proto', 'tree', 'flamebearer'] as const) {
        const whole = runAnswerTask({ ...task, parts: [encodeTree(treeOf(answers.flat()))], as })
        assert.deepEqual(runAnswerTask({ ...task, parts: folded, as }), whole)
      }
    }),
  )
})

test('profiles with lines and graphs of calls have the same bytes, folded before or not', () => {
  fc.assert(
    fc.property(fc.array(stacksOf, { minLength: 1, maxLength: 4 }), (answers) => {
      const parts = () => answers.map(encodeStacks).filter(({ length }) => length > 0)
      const tasks = (given: Uint8Array[]): AnswerTask[] => [
        { kind: 'pprof', parts: given, nodesMax: 1_000, maxNodes: undefined, leaves: undefined, header: HEADER },
        {
          kind: 'pprof',
          parts: given,
          ...LIMITS,
          leaves: { keepLocations: 2, aggregateCallees: true },
          header: HEADER,
        },
        { kind: 'dot', parts: given, ...LIMITS, profileType: TYPE, endMs: 0 },
      ]
      const folded = runAnswerTask({ kind: 'fold-stacks', parts: parts(), nodesMax: 1_000 })
      tasks(parts()).forEach((task, i) => assert.deepEqual(runAnswerTask(task), runAnswerTask(tasks([folded])[i]!)))
      const [pprof] = tasks(parts()) as [Extract<AnswerTask, { kind: 'pprof' }>]
      const bytes = runAnswerTask(pprof)
      const json = runAnswerTask({ ...pprof, as: 'json' })
      assert.deepEqual(json, bytes.length === 0 ? bytes : profileText(bytes))
    }),
  )
})

test('a difference has both sides, and what each of them is asked for', () => {
  const side = (value: bigint) => [encodeTree(treeOf([['main;a', value]]))]
  const task = { kind: 'diff', parts: side(3n), right: side(5n), ...LIMITS } as const
  assert.match(text(runAnswerTask({ ...task, as: 'flamebearer' })), /"leftTicks":3,"rightTicks":5}$/)
  assert.match(text(runAnswerTask({ ...task, as: 'json' })), /"leftTicks":"3","rightTicks":"5"}}$/)
  assert.ok(runAnswerTask({ ...task, as: 'proto' }).length > 0)
  assert.equal(partsOf({ ...task, as: 'json' }).length, 2)
})

test('series are ranked, cut and encoded as they are without a task', () => {
  const series = [
    { labels: [{ name: 'pod', value: 'small' }], stepIndexes: [0], sums: [1n], counts: [1] },
    { labels: [{ name: 'pod', value: 'large' }], stepIndexes: [0, 2], sums: [8n, 5n], counts: [2, 1] },
  ]
  const options = { range: { startMs: 1_000, endMs: 5_000, stepMs: 1_000 }, aggregation: 'average', limit: 1 } as const
  const answers = finishTimeSeries(series, options)
  const task = () => ({ kind: 'series', parts: [encodeSeriesPart(series)], seriesMax: 2, ...options }) as const
  assert.deepEqual(runAnswerTask({ ...task(), as: 'proto' }), encodeSeriesAnswers(answers))
  assert.equal(text(runAnswerTask({ ...task(), as: 'json' })), seriesAnswersText(answers))
  const points = [encodePointsPart([])]
  const both = { ...task(), as: 'json', points } as const
  assert.deepEqual(partsOf(both), [...both.parts, ...points])
  assert.deepEqual(taskBuffers(both).length, 2)
  assert.equal(taskBytes(both), both.parts[0]!.length + points[0]!.length)
})

const POD = [{ name: 'pod', value: 'a' }]
const point = (step: number, value: bigint, profileId: string) => ({
  labels: POD,
  steps: [step],
  values: [value],
  counts: [1],
  exemplars: [{ timeMs: 1, profileId, spanId: '', traceId: '', labels: [] }],
})

test('series of several parts are summed, with the highest profile of all of them, folded before or not', () => {
  const options = { range: { startMs: 0, endMs: 5_000, stepMs: 1_000 }, aggregation: 'sum', limit: 0 } as const
  const parts = () =>
    [1n, 2n].map((sum) => encodeSeriesPart([{ labels: POD, stepIndexes: [1], sums: [sum], counts: [1] }]))
  const points = () => [encodePointsPart([point(1, 4n, 'low')]), encodePointsPart([point(1, 9n, 'high')])]
  const sums = [{ labels: POD, stepIndexes: [1], sums: [3n], counts: [2] }]
  const wanted = withExemplars(finishTimeSeries(sums, options), [point(1, 9n, 'high')], options.range)
  const task = { kind: 'series', seriesMax: 0, ...options, as: 'json' } as const
  assert.equal(text(runAnswerTask({ ...task, parts: parts(), points: points() })), seriesAnswersText(wanted))
  const folded = {
    parts: [runAnswerTask({ kind: 'fold-series', parts: parts(), seriesMax: 0 })],
    points: [runAnswerTask({ kind: 'fold-points', parts: points(), seriesMax: 0, best: true, exemplars: true })],
  }
  for (const as of ['json', 'proto'] as const) {
    const whole = runAnswerTask({ ...task, parts: parts(), points: points(), as })
    assert.deepEqual(runAnswerTask({ ...task, ...folded, as }), whole)
  }
})

test('more series than the limit are refused by the merge, whichever part brings them', () => {
  const of = (value: string) =>
    encodeSeriesPart([{ labels: [{ name: 'a', value }], stepIndexes: [1], sums: [1n], counts: [1] }])
  const fold = (parts: Uint8Array[]) => runAnswerTask({ kind: 'fold-series', parts, seriesMax: 1 })
  assert.ok(fold([of('x'), of('x')]).length > 0)
  assert.throws(() => fold([of('x'), of('y')]), { reason: 'max_query_series' })
  const points = [encodePointsPart([point(1, 4n, 'a'), { ...point(1, 4n, 'b'), labels: [] }])]
  const heatmap = { originMs: 0, stepMs: 1, limit: 0, seriesMax: 1, exemplars: true, as: 'json' } as const
  assert.throws(() => runAnswerTask({ kind: 'heatmap', parts: points, ...heatmap }), { reason: 'max_query_series' })
})

test('heat maps are cut into ranges and encoded as they are without a task', () => {
  const options = { originMs: 1_000, stepMs: 1_000, limit: 0 }
  const series = [{ labels: [], steps: [0, 0, 3], values: [1n, 21n, 5n], counts: [2, 1, 1], exemplars: [] }]
  const answers = finishHeatmap(series, options)
  const task = () =>
    ({ kind: 'heatmap', parts: [encodePointsPart(series)], seriesMax: 0, exemplars: false, ...options }) as const
  assert.deepEqual(runAnswerTask({ ...task(), as: 'proto' }), encodeHeatmaps(answers))
  assert.equal(text(runAnswerTask({ ...task(), as: 'json' })), heatmapsText(answers))
})

test('nothing is no bytes, and too many nodes are told by their reason', async () => {
  const none = { parts: [], nodesMax: 9, maxNodes: undefined, leaves: undefined, header: HEADER }
  assert.equal((await WORK_HERE.run({ kind: 'pprof', ...none })).length, 0)
  const parts = () => [encodeTree(treeOf([['a;b;c', 1n]]))]
  await assert.rejects(WORK_HERE.run({ kind: 'fold-trees', parts: parts(), nodesMax: 3 }), {
    reason: 'tree_nodes_limit',
  })
  const stacks = [encodeStacks([['a;b;c', 1n]])]
  await assert.rejects(WORK_HERE.run({ kind: 'fold-stacks', parts: stacks, nodesMax: 3 }), {
    reason: 'stack_nodes_limit',
  })
})
