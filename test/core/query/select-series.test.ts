import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CinderError } from '#core/errors.ts'
import { getLabel, type Labels } from '#core/labels/labels.ts'
import { selectSeries } from '#core/query/select-series.ts'
import { CPU_GROUP, makeLabels } from '../../support/datasets.ts'

const SERIES = [
  makeLabels({ __name__: 'process_cpu', service_name: 'a', pod: '1' }),
  makeLabels({ __name__: 'process_cpu', service_name: 'a', pod: '2' }),
  makeLabels({ __name__: 'wall', service_name: 'a', pod: '1' }),
  makeLabels({ service_name: 'a' }),
]
const OTHER_PERIOD = { ...CPU_GROUP, periodUnit: 'count' }
const OTHER_RATE = { ...CPU_GROUP, period: 20_000_000n }
const GROUPS = [CPU_GROUP, OTHER_PERIOD, OTHER_RATE]
const CPU = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds'

const select = (profileType: string, matches: (labels: Labels) => boolean = () => true) =>
  selectSeries({ series: SERIES, groups: GROUPS }, { profileType, matches }).map(({ group, type, series }) => ({
    group,
    type,
    series: [...series].join(''),
  }))

test('a profile type selects by name, sample type, unit and period; the period length does not matter', () => {
  assert.deepEqual(select(CPU), [
    { group: 0, type: 1, series: '1100' },
    { group: 2, type: 1, series: '1100' },
  ])
  assert.deepEqual(select('wall:samples:count:cpu:count'), [{ group: 1, type: 0, series: '0010' }])
  assert.deepEqual(select('process_cpu:cpu:count:cpu:nanoseconds'), [])
  assert.deepEqual(select('process_cpu:cpu:nanoseconds::'), [])
  assert.deepEqual(select('memory:cpu:nanoseconds:cpu:nanoseconds'), [])
})

test('matchers see the labels that clients see', () => {
  assert.deepEqual(select(CPU, (labels) => getLabel(labels, 'pod') === '2')[0], { group: 0, type: 1, series: '0100' })
  assert.equal(select(CPU, (labels) => getLabel(labels, '__profile_type__') === CPU).length, 2)
  assert.equal(select(CPU, (labels) => getLabel(labels, '__type__') === 'cpu').length, 2)
  assert.deepEqual(
    select(CPU, (labels) => getLabel(labels, '__unit__') === 'count'),
    [],
  )
})

test('labels of selected series are typed, others are absent', () => {
  const [selected] = selectSeries({ series: SERIES, groups: GROUPS }, { profileType: CPU, matches: () => true })
  assert.deepEqual(
    selected!.labels.map((labels) => labels && getLabel(labels, '__profile_type__')),
    [CPU, CPU, undefined, undefined],
  )
})

test('what annotates points is given by series, and not at all where no selected series has it', () => {
  const sampled = makeLabels({ __name__: 'process_cpu', __sampled_by__: 'rule', service_name: 'a', pod: '1' })
  const ask = (matches: (labels: Labels) => boolean) =>
    selectSeries({ series: [...SERIES, sampled], groups: [CPU_GROUP] }, { profileType: CPU, matches })
  const [all] = ask(() => true)
  assert.deepEqual(all!.sampledBy, ['', '', '', '', 'rule'])
  assert.deepEqual(all!.labels[4], all!.labels[0])
  const [other] = ask((labels) => getLabel(labels, 'pod') === '2')
  assert.equal(other!.sampledBy, undefined)
})

test('a profile type that is none is the caller’s fault', () => {
  assert.throws(
    () => select('cpu'),
    (error: CinderError) => error.kind === 'invalid_argument',
  )
})
