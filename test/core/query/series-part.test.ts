import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeSeriesPart, encodeSeriesPart } from '#core/query/series-part.ts'

test('series survive as bytes, int64 to its ends, those without points too', () => {
  const series = [
    {
      labels: [{ name: 'a', value: 'b' }],
      stepIndexes: [0, 2 ** 32 + 1],
      sums: [-(2n ** 63n), 2n ** 63n - 1n],
      counts: [1, 7],
    },
    { labels: [], stepIndexes: [], sums: [], counts: [] },
    { labels: [], stepIndexes: [5], sums: [0n], counts: [2] },
  ]
  assert.deepEqual(decodeSeriesPart(encodeSeriesPart(series)), series)
  assert.deepEqual(decodeSeriesPart(encodeSeriesPart([])), [])
})
