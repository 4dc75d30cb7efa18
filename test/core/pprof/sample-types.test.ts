import assert from 'node:assert/strict'
import { test } from 'node:test'
import { totalsOf, withSampleTypes } from '#core/pprof/sample-types.ts'
import { stringAt } from '#core/pprof/string-table.ts'
import { decodeProfile, stacksOf, valuesByStack } from '../../support/decoded-profile.ts'

const TYPES = [
  ['a', 'count'],
  ['b', 'bytes'],
  ['c', 'count'],
] as const
const PROFILE = decodeProfile({
  types: TYPES,
  samples: [
    { stack: ['x', 'y'], values: [1, 2n ** 40n, 3] },
    { stack: ['y'], values: [10, 20, 30], labels: { k: 'v' } },
  ],
})

test('types that are not kept take their values with them', () => {
  const kept = withSampleTypes(PROFILE, [true, false, true])
  assert.deepEqual(
    kept.sampleTypes.map(({ type }) => stringAt(kept, type)),
    ['a', 'c'],
  )
  assert.deepEqual(valuesByStack(kept), { 'x;y': [1n, 3n], y: [10n, 30n] })
  assert.equal(withSampleTypes(PROFILE, [true, true, true]), PROFILE)
  assert.equal(withSampleTypes(PROFILE, [false, false, false]).sampleTypes.length, 0)
})

test('totals are one sample without stack and labels', () => {
  const totals = totalsOf(PROFILE, new Uint32Array([0, 1]))
  assert.deepEqual(stacksOf(totals), [[]])
  assert.deepEqual(valuesByStack(totals), { '': [11n, 2n ** 40n + 20n, 33n] })
  assert.equal(totals.sampleLabelsMax, 0)
  assert.deepEqual(valuesByStack(totalsOf(PROFILE, new Uint32Array([1]))), { '': [10n, 20n, 30n] })
})
