import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { encodePart } from '#core/query/part-columns.ts'
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

test('a part of a peer that does not fit together is damage, whatever its head says', () => {
  const labels = [[{ name: 'a', value: 'b' }], []]
  const columns = () => [new Float64Array(2), new BigInt64Array(2), new Float64Array(2)]
  const heads = [
    null,
    [],
    {},
    { labels, lengths: [2] },
    // Their sum is right: the first would be a list of a billion.
    { labels, lengths: [1e9, 2 - 1e9] },
    { labels, lengths: [2, 1] },
    { labels, lengths: [1, 0] },
    { labels: 'ab', lengths: [1, 1] },
    { labels: [[{ name: 'a' }], []], lengths: [1, 1] },
  ]
  for (const head of heads) {
    const isDamage = (error: unknown) => error instanceof CinderError && error.kind === 'data_loss'
    assert.throws(() => decodeSeriesPart(encodePart(head, columns())), isDamage, JSON.stringify(head))
  }
})
