import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { assignSlots, BALANCE_MOVES_MAX, type OwnersInput } from '#core/placement/owners.ts'

const SLOTS = 64
const ids = (count: number) => Array.from({ length: count }, (_, i) => `w${String(i).padStart(3, '0')}`)
const none = new Array<string>(SLOTS).fill('')
const assign = (input: Partial<OwnersInput>) =>
  assignSlots({ owners: none, members: ids(4), away: new Set(), ...input })

function countsOf(owners: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const owner of owners) counts[owner] = (counts[owner] ?? 0) + 1
  return counts
}

const movedBetween = (a: readonly string[], b: readonly string[]) => a.filter((owner, slot) => owner !== b[slot]).length

test('all slots go to the members, within the mean rounded up and one', () => {
  const counts = countsOf(assign({}))
  assert.deepEqual(Object.keys(counts).sort(), ids(4))
  for (const count of Object.values(counts)) assert.ok(count >= 16 && count <= 17, JSON.stringify(counts))
})

test('without a member nothing changes', () => {
  const owners = assign({})
  assert.deepEqual(assign({ owners, members: [] }), owners)
})

test('what is even stays as it is', () => {
  const owners = assign({})
  assert.deepEqual(assign({ owners }), owners)
  assert.notEqual(assign({ owners }), owners)
})

test('who joins gets its share, and nobody else anything', () => {
  const before = assign({})
  const after = assign({ owners: before, members: ids(5) })
  after.forEach((owner, slot) => assert.ok(owner === before[slot] || owner === 'w004'))
  assert.equal(movedBetween(before, after), 12)
})

test('who leaves gives its own slots alone', () => {
  const before = assign({})
  const after = assign({ owners: before, members: ids(4).slice(1) })
  after.forEach((owner, slot) => assert.equal(owner === before[slot], before[slot] !== 'w000'))
})

test('who is away keeps its slots, gets none, and does not make others give', () => {
  const before = assign({})
  const away = new Set(['w000'])
  assert.deepEqual(assign({ owners: before, members: ids(4).slice(1), away }), before)
  const joined = assign({ owners: before, members: ids(5).slice(1), away })
  before.forEach((owner, slot) => assert.equal(joined[slot] === 'w000', owner === 'w000'))
})

test('a load on one writer is shared, by moves and by swaps', () => {
  const owners = assign({})
  const loads = owners.map((owner) => (owner === 'w000' ? 1 : 0))
  const after = assign({ owners, loads })
  const carried: Record<string, number> = {}
  after.forEach((owner, slot) => (carried[owner] = (carried[owner] ?? 0) + loads[slot]!))
  assert.ok(Math.max(...Object.values(carried)) <= 6, JSON.stringify(carried))
  for (const count of Object.values(countsOf(after))) assert.ok(count >= 16 && count <= 17)
  assert.ok(movedBetween(owners, after) <= BALANCE_MOVES_MAX)
})

test('a load in one slot stays, and does not keep others from being shared', () => {
  const owners = assign({})
  const loads = owners.map((owner, slot) => (slot === 0 ? 100 : owner === owners[0] ? 0 : owner === 'w003' ? 12 : 0))
  const after = assign({ owners, loads })
  assert.equal(after[0], owners[0])
  const ofThree = after.reduce((sum, owner, slot) => sum + (owner === 'w003' ? loads[slot]! : 0), 0)
  assert.ok(owners[0] === 'w003' || ofThree <= 1.5 * ((100 + 12 * 16) / 4), `${ofThree}`)
})

test('a load within its bounds moves nothing', () => {
  const owners = assign({})
  const loads = owners.map((owner) => (owner === 'w000' ? 1.4 : 1))
  assert.deepEqual(assign({ owners, loads }), owners)
})

test('at any time: counts are even, no slot is without an owner, movement has a bound', () => {
  const fleet = fc.record({
    members: fc.uniqueArray(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 40 }),
    before: fc.array(fc.integer({ min: -1, max: 40 }), { minLength: SLOTS, maxLength: SLOTS }),
    loads: fc.option(fc.array(fc.double({ min: 0, max: 9, noNaN: true }), { minLength: SLOTS, maxLength: SLOTS })),
  })
  fc.assert(
    fc.property(fleet, ({ members, before, loads }) => {
      const all = ids(41)
      const input = {
        owners: before.map((index) => all[index] ?? ''),
        members: members.sort((a, b) => a - b).map((index) => all[index]!),
        away: new Set<string>(),
        loads: loads ?? undefined,
      }
      const after = assignSlots(input)
      const counts = countsOf(after)
      assert.deepEqual(assignSlots(input), after)
      const mean = SLOTS / input.members.length
      for (const member of input.members) {
        assert.ok((counts[member] ?? 0) <= Math.ceil(mean) + 1)
        assert.ok((counts[member] ?? 0) >= Math.floor(mean))
        delete counts[member]
      }
      assert.deepEqual(counts, {})
      const again = assignSlots({ ...input, owners: after })
      assert.ok(movedBetween(after, again) <= (loads === null ? 0 : BALANCE_MOVES_MAX))
    }),
    { numRuns: 200 },
  )
})
