import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SelectedProfiles } from '#core/query/aggregate.ts'
import { keepProfilesById, profileIdText } from '#core/query/profile-ids.ts'

const ids = Uint8Array.from({ length: 48 }, (_, i) => i)
const FIRST = '000102030405060708090a0b0c0d0e0f'
const THIRD = '202122232425262728292a2b2c2d2e2f'

function profiles(type: number, ...positions: number[]): SelectedProfiles {
  return { selected: { group: 0, type, series: new Uint8Array(1), labels: [] }, positions: Uint32Array.from(positions) }
}

test('an id is the hex of its sixteen bytes', () => {
  assert.equal(profileIdText(ids, 0), FIRST)
  assert.equal(profileIdText(ids, 2), THIRD)
})

test('positions with a wanted id stay; types without any go', () => {
  const kept = keepProfilesById([profiles(0, 0, 1, 2), profiles(1, 1)], ids, new Set([THIRD, FIRST]))
  assert.deepEqual(
    kept.map(({ selected, positions }) => [selected.type, [...positions]]),
    [[0, [0, 2]]],
  )
  assert.deepEqual(keepProfilesById([profiles(0, 0, 1, 2)], ids, new Set(['f'.repeat(32)])), [])
})

test('the parts of one pushed profile are selected by the id of any of them', () => {
  const parts = ids.slice()
  parts.set(parts.subarray(0, 14), 16)
  const other = `${FIRST.slice(0, 28)}ffff`
  const kept = keepProfilesById([profiles(0, 0, 1, 2)], parts, new Set([other]))
  assert.deepEqual([...kept[0]!.positions], [0, 1])
})
