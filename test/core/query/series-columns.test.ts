import assert from 'node:assert/strict'
import { test } from 'node:test'
import { packSeries, seriesBuffers, seriesBytes, unpackSeries } from '#core/query/series-columns.ts'

test('series survive as columns, int64 to its ends, those without points too', () => {
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
  const columns = packSeries(series)
  assert.deepEqual(unpackSeries(columns), series)
  assert.equal(seriesBytes(columns), 3 * 24)
  assert.deepEqual(unpackSeries(structuredClone(columns, { transfer: seriesBuffers(columns) })), series)
  assert.equal(columns.sums.length, 0)
})
