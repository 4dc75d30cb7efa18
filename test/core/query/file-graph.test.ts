import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type FileTask, readFileGraph, runFileTask } from '#core/query/file-graph.ts'
import { buildPprof } from '../../support/profiles.ts'

const LIMITS = { maxProfileSizeBytes: 1_000_000, maxSamples: 0, maxSymbolBytes: 0 }
const WISH = { limits: LIMITS, type: undefined, maxNodes: 100 }

const FILE = buildPprof({
  types: [
    ['samples', 'count'],
    ['cpu', 'nanoseconds'],
  ],
  samples: [{ stack: ['leaf\n', 'main'], values: [1, 20] }],
})
const OTHER = buildPprof({ types: [['cpu', 'nanoseconds']], samples: [{ stack: ['main'], values: [5] }] })

const run = (task: FileTask) => readFileGraph(runFileTask(task))

test('a file is shown by its first type, or by the one that is named', () => {
  const first = run({ kind: 'file', parts: [FILE], ...WISH })
  assert.deepEqual([first.type, first.unit, first.types], ['samples', 'count', ['samples', 'cpu']])
  const named = run({ kind: 'file', parts: [FILE], ...WISH, type: 'cpu' })
  assert.deepEqual(JSON.parse(named.graph), {
    names: ['total', 'main', 'leaf\n'],
    levels: [
      [0, 20, 0, 0],
      [0, 20, 0, 1],
      [0, 20, 20, 2],
    ],
    numTicks: 20,
    maxSelf: 20,
  })
  assert.throws(() => run({ kind: 'file', parts: [FILE], ...WISH, type: 'wall' }), /it has samples, cpu/)
})

test('two files are compared by the types that both have', () => {
  const diff = run({ kind: 'file-diff', parts: [FILE], right: [OTHER], ...WISH })
  assert.deepEqual([diff.type, diff.types], ['cpu', ['cpu']])
  const { leftTicks, rightTicks } = JSON.parse(diff.graph) as { leftTicks: number; rightTicks: number }
  assert.deepEqual([leftTicks, rightTicks], [20, 5])
  const text = new TextEncoder().encode('main 3')
  const unlike = { kind: 'file-diff', parts: [OTHER], right: [text], ...WISH } as const
  assert.throws(() => run(unlike), { kind: 'invalid_argument', message: /no sample type in common/ })
})
