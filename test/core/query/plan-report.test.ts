import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addStats, beginRun, headerJson } from '#core/query/plan-report.ts'

const STATS = { objects: 1, ranges: 2, bytes: 3, datasets: 4, profiles: 5, samples: 6 }

test('costs of all calls are summed, also those that only newer backends report', () => {
  const run = beginRun('series', { startMs: 1, endMs: 2 })
  addStats(run, STATS)
  addStats(run, { ...STATS, cacheHits: 7 } as typeof STATS)
  assert.deepEqual(run.read, { objects: 2, ranges: 4, bytes: 6, datasets: 8, profiles: 10, samples: 12, cacheHits: 7 })
  assert.deepEqual([run.kind, run.startMs, run.endMs], ['series', 1, 2])
})

test('a header carries any text', () => {
  const text = 'ünï "q" \u0000 \r\nX: y 🔥 \u007f'
  const header = headerJson([text])
  assert.match(header, /^[ -~]*$/)
  assert.deepEqual(JSON.parse(header), [text])
  assert.equal(new Headers({ 'X-Test': header }).get('x-test'), header)
})
