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
import { packSeries } from '#core/query/series-columns.ts'
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
  const task = () => ({ kind: 'series', columns: packSeries(series), ...options }) as const
  assert.deepEqual(runAnswerTask({ ...task(), as: 'proto' }), encodeSeriesAnswers(answers))
  assert.equal(text(runAnswerTask({ ...task(), as: 'json' })), seriesAnswersText(answers))
  assert.deepEqual([taskBytes({ ...task(), as: 'json' }), taskBuffers({ ...task(), as: 'json' }).length], [72, 4])
})

test('heat maps are cut into ranges and encoded as they are without a task', () => {
  const points = [{ labels: [], stepIndexes: [0, 0, 3], sums: [1n, 21n, 5n], counts: [2, 1, 1] }]
  const options = { originMs: 1_000, stepMs: 1_000, limit: 0 }
  const series = [{ labels: [], steps: [0, 0, 3], values: [1n, 21n, 5n], counts: [2, 1, 1], exemplars: [] }]
  const answers = finishHeatmap(series, options)
  const task = () => ({ kind: 'heatmap', columns: packSeries(points), ...options }) as const
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
