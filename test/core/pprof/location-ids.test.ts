import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodePprof } from '#core/pprof/encode.ts'
import { ProfileDecoder } from '#core/pprof/decode.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { locationIds } from '#core/pprof/location-ids.ts'
import { profileModel } from '../../support/profiles.ts'

/** Ids of the locations of one stack, leaf first. */
function idsOf(locations: readonly { name: string; line?: number; address?: number; symbols?: boolean }[]): number[] {
  const model = profileModel({ samples: [{ stack: ['x'], values: [1] }] })
  const stack = locations.map(({ name, line, address, symbols }) => ({
    mapping: { filename: 'app', hasFunctions: symbols ?? true },
    address: BigInt(address ?? 0),
    lines: [{ name, systemName: name, filename: 'f', line: BigInt(line ?? 1) }],
  }))
  const result = new ProfileDecoder().decode(
    encodePprof({ ...model, samples: [{ stack, values: [1n], labels: [] }] }),
    DEFAULT_LIMITS,
  )
  assert.ok(result.ok)
  const ids = locationIds(result.profile)
  return [...result.profile.sampleLocation.subarray(0, locations.length)].map((row) => ids[row]!)
}

test('locations that say the same have one number, in the order of rows', () => {
  assert.deepEqual(idsOf([{ name: 'a' }, { name: 'b' }, { name: 'a' }, { name: 'a', line: 2 }]), [1, 2, 1, 3])
})

test('addresses count only where the mapping has no functions', () => {
  const [a, b] = idsOf([
    { name: 'a', address: 1 },
    { name: 'a', address: 2 },
  ])
  assert.equal(a, b)
  const [c, d] = idsOf([
    { name: 'a', address: 1, symbols: false },
    { name: 'a', address: 2, symbols: false },
  ])
  assert.notEqual(c, d)
})
