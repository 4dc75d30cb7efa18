import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { ProfileDecoder } from '#core/pprof/decode.ts'
import { encodePprof, type LocationModel, type ProfileModel } from '#core/pprof/encode.ts'
import type { DecodedProfile } from '#core/pprof/profile.ts'
import { decodeReference } from '../../support/reference-pprof.ts'

const TYPES = [{ type: 'samples', unit: 'count' }]

function decoded(model: ProfileModel): DecodedProfile {
  const result = new ProfileDecoder().decode(encodePprof(model), DEFAULT_LIMITS)
  assert.ok(result.ok, result.ok ? '' : result.fault.message)
  return result.profile
}

test('bytes of a small profile, field by field', () => {
  const model: ProfileModel = {
    types: TYPES,
    samples: [{ stack: [{ lines: [{ name: 'f', line: 3n }] }], values: [300n] }],
    timeNanos: 5n,
  }
  assert.deepEqual(Array.from(encodePprof(model)), [
    0x0a,
    4,
    0x08,
    1,
    0x10,
    2, // sample type: strings 1, 2
    0x12,
    7,
    0x0a,
    1,
    1,
    0x12,
    2,
    0xac,
    0x02, // sample: location 1, value 300
    0x22,
    8,
    0x08,
    1,
    0x22,
    4,
    0x08,
    1,
    0x10,
    3, // location 1, line: function 1, line 3
    0x2a,
    4,
    0x08,
    1,
    0x10,
    3, // function 1, name: string 3
    0x48,
    5, // time
    0x32,
    0,
    0x32,
    7,
    ...new TextEncoder().encode('samples'),
    0x32,
    5,
    ...new TextEncoder().encode('count'),
    0x32,
    1,
    0x66,
  ])
})

test('equal frames are written once, different ones are not merged', () => {
  const app = { filename: 'app', hasFunctions: true }
  const frame = (name: string, line: bigint): LocationModel => ({ mapping: { ...app }, lines: [{ name, line }] })
  const p = decoded({
    types: TYPES,
    samples: [
      { stack: [frame('f', 1n), frame('g', 1n)], values: [1n] },
      { stack: [frame('f', 2n), frame('g', 1n)], values: [1n] },
      {
        stack: [
          { ...frame('f', 1n), folded: true },
          { ...frame('g', 1n), address: 9n },
        ],
        values: [1n],
      },
      { stack: [{ ...frame('f', 1n), mapping: { ...app, buildId: 'x' } }], values: [1n] },
    ],
  })
  assert.deepEqual([p.functionCount, p.mappingCount, p.locationCount], [2, 2, 6])
})

test('names that contain separators do not run into each other', () => {
  const line = (name: string, filename: string): LocationModel => ({ lines: [{ name, filename }] })
  const p = decoded({ types: TYPES, samples: [{ stack: [line('a","b', 'c'), line('a', 'b","c')], values: [1n] }] })
  assert.equal(p.functionCount, 2)
})

test('empty parts are legal: no samples, no stack, no labels, no values', () => {
  const plain = decodeReference(encodePprof({ types: [], samples: [{ stack: [], values: [] }] }))
  assert.deepEqual(plain.samples, [{ stack: [], values: [], labels: [] }])
  assert.deepEqual(decodeReference(encodePprof({ types: TYPES, samples: [] })).samples, [])
})
