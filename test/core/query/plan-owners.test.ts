import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Owners, rankOwners } from '#core/query/plan-owners.ts'
import { makeUlid } from '#core/wire/ulid.ts'

const NAMES = Array.from({ length: 8 }, (_, i) => `http://10.0.0.${i}:4043`)

/** Of one millisecond, as a flush makes them: only the last bytes differ. */
const IDS = Array.from({ length: 4_000 }, (_, i) => {
  const random = new Uint8Array(10)
  new DataView(random.buffer).setUint32(6, i)
  return makeUlid(1_764_000_000_000, random)
})

test('every backend is ranked once, the same each time, whatever the order of names', () => {
  for (const id of IDS.slice(0, 50)) {
    const ranked = rankOwners(id, NAMES)
    assert.deepEqual(
      ranked.toSorted((a, b) => a - b),
      [0, 1, 2, 3, 4, 5, 6, 7],
    )
    const reversed = NAMES.toReversed()
    assert.deepEqual(
      rankOwners(id, reversed).map((i) => reversed[i]),
      ranked.map((i) => NAMES[i]),
    )
  }
  assert.deepEqual(rankOwners('x', []), [])
  const owners = new Owners(NAMES)
  for (const id of IDS) assert.equal(owners.first(id), owners.rank(id)[0])
  assert.equal(new Owners([]).first('x'), -1)
})

test('objects spread evenly, and so do those of a backend that is gone', () => {
  const first = NAMES.map(() => 0)
  const second = NAMES.map(() => 0)
  for (const id of IDS) {
    const [owner, next] = rankOwners(id, NAMES)
    first[owner!]!++
    if (owner === 0) second[next!]!++
  }
  for (const count of first) assert.ok(count > 375 && count < 625, first.join(' '))
  for (const count of second.slice(1)) assert.ok(count > 35 && count < 110, second.join(' '))
})

test('a backend that leaves moves only its own objects', () => {
  const fewer = NAMES.slice(0, 7)
  for (const id of IDS) {
    const [owner] = rankOwners(id, NAMES)
    if (owner !== 7) assert.equal(rankOwners(id, fewer)[0], owner)
  }
})
