import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isKnownEnd } from '#core/rpc/answer-ends.ts'

test('what a later release may ask for is not answered as something else', () => {
  const range = { startMs: 0, endMs: 1, stepMs: 1 }
  for (const end of [
    { kind: 'flame-graph', as: 'tree' },
    { kind: 'pprof', header: {} },
    { kind: 'pprof', header: {}, as: 'json-answer' },
    { kind: 'series', range, as: 'proto', aggregation: 'sum' },
    { kind: 'series', range, as: 'json', aggregation: 'average' },
  ]) {
    assert.equal(isKnownEnd(end), true, JSON.stringify(end))
  }
  for (const end of [
    { kind: '' },
    { kind: 'toString' },
    { kind: 'flame-graph', as: 'arrow' },
    { kind: 'pprof' },
    { kind: 'series', as: 'json', aggregation: 'sum' },
    { kind: 'series', range, as: 'proto', aggregation: 'max' },
    { kind: 'series', range, as: 'proto', aggregation: '' },
    { kind: 'pprof', header: {}, as: '' },
    { kind: 'sandwich', as: 'json' },
  ]) {
    assert.equal(isKnownEnd(end), false, JSON.stringify(end))
  }
})
