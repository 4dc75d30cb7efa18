import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LabelSetCache } from '../../../apps/segment-writer/label-set-cache.ts'
import { getLabel, labelsFromPairs } from '#core/labels/labels.ts'
import type { Dataset } from '#core/block/dataset.ts'
import { CPU_GROUP, makeDataset, makeLabels, WINDOW_START_NANOS } from '../../support/datasets.ts'

const HOUR_MS = 3_600_000

function datasetOf(pods: readonly string[], { hour = 0, cpu = 1n }: { hour?: number; cpu?: bigint } = {}): Dataset {
  const startMs = Number(WINDOW_START_NANOS / 1_000_000n) + hour * HOUR_MS
  return makeDataset({
    windowStartMs: startMs,
    series: pods.map((pod) => makeLabels({ __name__: 'process_cpu', pod })),
    groups: [CPU_GROUP],
    profiles: pods.flatMap((_, series) =>
      [1, 2].map((id) => ({
        series,
        group: 0,
        id,
        timeNanos: BigInt(startMs) * 1_000_000n,
        samples: [{ stack: ['f'], values: [1n, cpu] }],
      })),
    ),
  })
}

const typesOf = (cache: LabelSetCache, dataset: Dataset): string[] =>
  cache.missing(dataset).map(({ pairs }) => {
    const labels = labelsFromPairs(pairs)
    return `${getLabel(labels, 'pod')}/${getLabel(labels, '__type__')}`
  })

test('one set per series and type with a value; a type without any is not there', () => {
  const cache = new LabelSetCache()
  assert.deepEqual(typesOf(cache, datasetOf(['a', 'b'])), ['a/samples', 'a/cpu', 'b/samples', 'b/cpu'])
  assert.deepEqual(typesOf(cache, datasetOf(['a'], { cpu: 0n })), ['a/samples'])
})

test('what is remembered is not sent again in its hour; what is not, is', () => {
  const cache = new LabelSetCache()
  assert.equal(cache.missing(datasetOf(['a'])).length, 2)
  assert.equal(cache.missing(datasetOf(['a'])).length, 2, 'no commit, nothing remembered')
  cache.remember(cache.missing(datasetOf(['a'])), 0)
  assert.deepEqual(typesOf(cache, datasetOf(['a', 'c'])), ['c/samples', 'c/cpu'])
  assert.equal(cache.missing(datasetOf(['a'], { hour: 1 })).length, 2)
  assert.equal(cache.missing({ ...datasetOf(['a']), tenant: 'other' }).length, 2)
})

test('a new label epoch makes everything unknown but what came with it; without an epoch nothing is remembered', () => {
  const cache = new LabelSetCache()
  cache.remember(cache.missing(datasetOf(['a'])), 0)
  cache.remember(cache.missing(datasetOf(['b'])), 0)
  assert.deepEqual(typesOf(cache, datasetOf(['a', 'b'])), [])
  assert.equal(cache.labelEpoch, 0)
  cache.remember(cache.missing(datasetOf(['c'])), undefined)
  assert.deepEqual(typesOf(cache, datasetOf(['a', 'b', 'c'])), ['c/samples', 'c/cpu'])
  cache.remember(cache.missing(datasetOf(['c'])), 2)
  assert.deepEqual(typesOf(cache, datasetOf(['a', 'c'])), ['a/samples', 'a/cpu'])
})

test('past its maximum it begins anew', () => {
  const cache = new LabelSetCache(4)
  cache.remember(cache.missing(datasetOf(['a', 'b'])), 0)
  assert.deepEqual(typesOf(cache, datasetOf(['a', 'b'])), [])
  cache.remember(cache.missing(datasetOf(['c'])), 0)
  assert.deepEqual(typesOf(cache, datasetOf(['a', 'c'])), ['a/samples', 'a/cpu'])
})
