import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { buildLabels, labelsFromPairs, labelsToPairs } from '#core/labels/labels.ts'
import {
  formatProfileType,
  parseProfileType,
  profileTypeId,
  profileTypeOfLabels,
  typedLabels,
} from '#core/labels/profile-type.ts'

const CPU = { type: 'cpu', unit: 'nanoseconds', periodType: 'cpu', periodUnit: 'nanoseconds' }

describe('parseProfileType', () => {
  const good: [string, string][] = [
    ['process_cpu:cpu:nanoseconds:cpu:nanoseconds', 'process_cpu:cpu:nanoseconds:cpu:nanoseconds'],
    ['process_cpu:cpu:nanoseconds:cpu:nanoseconds:delta', 'process_cpu:cpu:nanoseconds:cpu:nanoseconds'],
    ['memory:malloc_bytes:bytes::', 'memory:malloc_bytes:bytes::'],
    ['process_cpu:samples:count::milliseconds', 'process_cpu:samples:count::milliseconds'],
    ['::::', '::::'],
  ]
  for (const [id, fiveParts] of good) {
    it(`accepts ${id}`, () => assert.equal(formatProfileType(parseProfileType(id)), fiveParts))
  }

  const bad: [string, number][] = [
    ['', 1],
    ['process_cpu', 1],
    ['a:b:c:d', 4],
    ['a:b:c:d:e:f:g', 7],
  ]
  for (const [id, parts] of bad) {
    it(`refuses ${JSON.stringify(id)}, naming its ${parts} parts`, () => {
      assert.throws(
        () => parseProfileType(id),
        (error: unknown) => {
          assert.ok(error instanceof CinderError)
          assert.equal(error.kind, 'invalid_argument')
          assert.ok(error.message.endsWith(`(:delta), got(${parts}): ${JSON.stringify(id)}`), error.message)
          return true
        },
      )
    })
  }
})

describe('typedLabels', () => {
  const base = labelsFromPairs(['__name__', 'process_cpu', 'region', 'eu', 'service_name', 'api'])

  it('adds what follows from the sample type, sorted', () => {
    assert.deepEqual(labelsToPairs(typedLabels(base, CPU)), [
      '__name__',
      'process_cpu',
      '__period_type__',
      'cpu',
      '__period_unit__',
      'nanoseconds',
      '__profile_type__',
      'process_cpu:cpu:nanoseconds:cpu:nanoseconds',
      '__service_name__',
      'api',
      '__type__',
      'cpu',
      '__unit__',
      'nanoseconds',
      'region',
      'eu',
      'service_name',
      'api',
    ])
  })

  it('has no period labels without a period type', () => {
    const typed = typedLabels(base, { type: 'malloc', unit: 'bytes', periodType: '', periodUnit: '' })
    assert.deepEqual(
      typed.map(({ name }) => name).filter((name) => name.startsWith('__period')),
      [],
    )
    assert.equal(
      profileTypeId(base, { type: 'malloc', unit: 'bytes', periodType: '', periodUnit: '' }),
      'process_cpu:malloc:bytes::',
    )
  })

  it('wins over pushed labels of the same name', () => {
    const pushed = buildLabels([
      ...base,
      { name: '__type__', value: 'forged' },
      { name: '__profile_type__', value: 'x' },
    ])
    assert.deepEqual(typedLabels(pushed, CPU), typedLabels(base, CPU))
  })

  it('is read back part by part, a colon in the name included', () => {
    const odd = labelsFromPairs(['__name__', 'a:b'])
    assert.deepEqual(profileTypeOfLabels(typedLabels(odd, CPU)), {
      name: 'a:b',
      sampleType: 'cpu',
      sampleUnit: 'nanoseconds',
      periodType: 'cpu',
      periodUnit: 'nanoseconds',
    })
  })
})
