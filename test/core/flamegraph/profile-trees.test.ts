import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodePprof } from '#core/pprof/encode.ts'
import { readProfileTrees } from '#core/flamegraph/profile-trees.ts'
import { buildPprof } from '../../support/profiles.ts'
import { treeStacks } from '../../support/write-path.ts'

const LIMITS = { maxProfileSizeBytes: 1_000_000, maxSamples: 0, maxSymbolBytes: 0 }

function stacksOf(raw: Uint8Array) {
  return readProfileTrees(raw, LIMITS).map(({ type, unit, tree }) => [type, unit, treeStacks(tree)])
}

test('a tree for each sample type of a pprof, zero values left out', () => {
  const raw = buildPprof({
    types: [
      ['samples', 'count'],
      ['cpu', 'nanoseconds'],
    ],
    samples: [
      { stack: ['leaf', 'main'], values: [1, 2n ** 62n] },
      { stack: ['leaf', 'main'], values: [2, 0] },
      { stack: ['main'], values: [0, 5] },
      { stack: [], values: [9, 9] },
    ],
  })
  assert.deepEqual(stacksOf(raw), [
    ['samples', 'count', { 'main;leaf': 3n }],
    ['cpu', 'nanoseconds', { main: 5n, 'main;leaf': 2n ** 62n }],
  ])
})

test('inlined lines are frames, a location without lines is its address', () => {
  const raw = encodePprof({
    types: [{ type: 'cpu', unit: 'ns' }],
    periodType: { type: 'cpu', unit: 'ns' },
    period: 1n,
    timeNanos: 0n,
    durationNanos: 0n,
    samples: [
      {
        stack: [
          { address: 0xabcn, lines: [] },
          { address: 1n, lines: [{ name: 'inlined' }, { name: 'caller' }] },
        ],
        values: [7n],
        labels: [],
      },
    ],
  })
  assert.deepEqual(stacksOf(raw), [['cpu', 'ns', { 'caller;inlined;0xabc': 7n }]])
})

test('a flame graph that was saved as JSON is read', () => {
  const flamebearer = {
    names: ['total', 'main'],
    levels: [
      [0, 4, 0, 0],
      [0, 4, 4, 1],
    ],
  }
  const json = JSON.stringify({
    version: 1,
    flamebearer,
    metadata: { format: 'single', name: 'cpu', units: 'samples' },
  })
  assert.deepEqual(stacksOf(new TextEncoder().encode(json)), [['cpu', 'samples', { main: 4n }]])
})

test('lines of collapsed stacks are read; anything else is refused with the reason', () => {
  const text = new TextEncoder().encode('main;work 3\r\nmain;work 4\n\nmain;a b 5000000000\n')
  assert.deepEqual(stacksOf(text), [['samples', 'count', { 'main;a b': 5_000_000_000n, 'main;work': 7n }]])
  for (const bad of ['', 'hello world', 'a;b 1\nno count', '{"a":1}', '\u0000\u0001']) {
    const read = () => readProfileTrees(new TextEncoder().encode(bad), LIMITS)
    assert.throws(read, { kind: 'invalid_argument', message: /neither pprof .* nor lines of collapsed stacks/ }, bad)
  }
  assert.throws(() => readProfileTrees(new Uint8Array(1_000_001), LIMITS), { kind: 'invalid_argument' })
})
