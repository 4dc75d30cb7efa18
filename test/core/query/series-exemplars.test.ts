import assert from 'node:assert/strict'
import { test } from 'node:test'
import { withExemplars } from '#core/query/series-exemplars.ts'

const exemplar = (timeMs: number) => ({ timeMs, profileId: `${timeMs}`, spanId: '', traceId: '', labels: [] })

test('every point has the exemplar of its series and step, or none', () => {
  const a = [{ name: 'pod', value: 'a' }]
  const answers = [
    { labels: a, points: [1_000, 3_000].map((timestampMs) => ({ timestampMs, value: 7 })) },
    { labels: [], points: [{ timestampMs: 1_000, value: 1 }] },
  ]
  const best = [{ labels: a, steps: [0, 1], values: [5n, 6n], counts: [1, 1], exemplars: [exemplar(10), exemplar(20)] }]
  const named = withExemplars(answers, best, { startMs: 1_000, stepMs: 1_000 })
  assert.deepEqual(
    named.map(({ labels, points }) => [labels, points.map(({ exemplars }) => exemplars)]),
    [
      [a, [[{ value: 5n, exemplar: exemplar(10) }], []]],
      [[], [[]]],
    ],
  )
})
