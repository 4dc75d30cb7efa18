import assert from 'node:assert/strict'
import { test } from 'node:test'
import { labelsFromPairs, getLabel } from '#core/labels/labels.ts'
import { labelSetsOfHead } from '#core/recovery/head-label-sets.ts'
import { MS_PER_HOUR } from '#core/units.ts'
import { LabelSetCache } from '../../../apps/segment-writer/label-set-cache.ts'
import { buildObject, CountingReader } from '../../support/block-objects.ts'
import { CPU_GROUP, makeDataset, makeLabels, WINDOW_START_MS, WINDOW_START_NANOS } from '../../support/datasets.ts'

const HOUR_NANOS = 3_600_000_000_000n
const profile = (id: number, series: number, hour: bigint, values: [bigint, bigint]) => ({
  id,
  series,
  group: 0,
  timeNanos: WINDOW_START_NANOS + hour * HOUR_NANOS,
  samples: [{ stack: ['main'], values }],
})
const SPEC = {
  series: [makeLabels({ __name__: 'process_cpu', pod: 'a' }), makeLabels({ __name__: 'process_cpu', pod: 'b' })],
  groups: [CPU_GROUP],
}

test('what a segment told of its series is told by its head', () => {
  const dataset = makeDataset({
    ...SPEC,
    profiles: [profile(1, 0, 0n, [1n, 5n]), profile(2, 1, 0n, [0n, 7n]), profile(3, 0, 0n, [2n, 2n])],
  })
  const sets = labelSetsOfHead(new CountingReader(buildObject([dataset])).openHead())
  assert.deepEqual(sets, new LabelSetCache().missing(dataset))
  assert.equal(sets.length, 3, 'a type without a total in any profile of the series is not there')
})

test('a dataset of several hours has the sets of each hour', () => {
  const profiles = [profile(1, 0, 0n, [1n, 0n]), profile(2, 1, 3n, [1n, 0n]), profile(3, 0, 3n, [1n, 0n])]
  const dataset = makeDataset({ ...SPEC, windowMs: 6 * MS_PER_HOUR, profiles })
  const sets = labelSetsOfHead(new CountingReader(buildObject([dataset])).openHead())
  const text = sets.map(
    ({ windowStartMs, pairs }) =>
      `${(windowStartMs - WINDOW_START_MS) / MS_PER_HOUR} ${getLabel(labelsFromPairs(pairs), 'pod')}`,
  )
  assert.deepEqual(text.sort(), ['0 a', '3 a', '3 b'])
})
