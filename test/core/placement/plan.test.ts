import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  emptyPlacementState,
  isBalanceDue,
  PLACEMENT_POLICY_DEFAULT,
  type PlacementInput,
  type PlacementPlan,
  planPlacement,
  type SeenWriter,
} from '#core/placement/plan.ts'
import { emptyPlacementTable, parsePlacementTable, placementJson, TABLE_MAX_BYTES } from '#core/placement/table.ts'

const NOW_MS = 1_000_000
const seen = (writerId: string, change: Partial<SeenWriter> = {}): SeenWriter => ({
  writerId,
  address: `http://${writerId}`,
  state: 'serving',
  isAlive: true,
  ...change,
})

function plan(before: PlacementPlan | undefined, change: Partial<PlacementInput> = {}): PlacementPlan {
  return planPlacement({
    state: before?.state ?? emptyPlacementState(),
    table: before?.table ?? emptyPlacementTable(),
    writers: [seen('a'), seen('b')],
    rates: [],
    rest: { bytesPerSecond: 0, profilesPerSecond: 0 },
    tenants: [],
    nowMs: NOW_MS,
    policy: PLACEMENT_POLICY_DEFAULT,
    ...change,
  })
}

const shape = ({ table }: PlacementPlan) => ({
  writers: table.writers.map(({ writerId, state }) => `${writerId} ${state}`),
  unowned: table.owners.filter((owner) => owner === -1).length,
})

test('the first writers own all slots at once, half each, and every edge can read the table', () => {
  const first = plan(undefined)
  assert.deepEqual(shape(first), { writers: ['a serving', 'b serving'], unowned: 0 })
  assert.equal(first.table.generation, 1)
  assert.equal(first.moved, 1_024)
  const [a, b] = [0, 1].map((index) => first.table.owners.filter((owner) => owner === index).length)
  assert.ok(Math.abs(a! - b!) <= 2)
  assert.deepEqual(parsePlacementTable(JSON.parse(placementJson(first.table))), first.table)
})

test('a pass that changes nothing keeps the table and its generation', () => {
  const first = plan(undefined)
  const second = plan(first, { nowMs: NOW_MS + 5_000 })
  assert.equal(second.table, first.table)
  assert.equal(second.moved, 0)
})

test('a writer whose lease ran out is asked last, and keeps its slots for a minute', () => {
  const first = plan(undefined)
  const away = plan(first, { writers: [seen('a', { isAlive: false }), seen('b')], nowMs: NOW_MS + 5_000 })
  assert.deepEqual(shape(away), { writers: ['a leaving', 'b serving'], unowned: 0 })
  assert.equal(away.moved, 0)
  assert.equal(away.table.generation, 2)
  const lost = plan(away, { writers: [seen('a', { isAlive: false }), seen('b')], nowMs: NOW_MS + 65_000 })
  assert.deepEqual(shape(lost), { writers: ['b serving'], unowned: 0 })
  assert.equal(lost.moved, 512)
})

test('one that leaves by itself is shown as leaving; gone, its slots wait for its return', () => {
  const first = plan(undefined)
  const leaving = plan(first, { writers: [seen('a', { state: 'leaving' }), seen('b')], nowMs: NOW_MS + 5_000 })
  assert.deepEqual(shape(leaving), { writers: ['a leaving', 'b serving'], unowned: 0 })
  const gone = plan(leaving, { writers: [seen('b')], nowMs: NOW_MS + 10_000 })
  assert.deepEqual(shape(gone), { writers: ['b serving'], unowned: 512 })
  assert.equal(gone.moved, 0)
  const back = plan(gone, { writers: [seen('a', { address: 'http://elsewhere' }), seen('b')], nowMs: NOW_MS + 40_000 })
  assert.deepEqual(shape(back), { writers: ['a serving', 'b serving'], unowned: 0 })
  assert.equal(back.table.writers[0]!.address, 'http://elsewhere')
  assert.equal(back.moved, 0)
})

test('a newcomer is known at once and has slots ten seconds later', () => {
  const first = plan(undefined)
  const writers = [seen('a'), seen('b'), seen('c')]
  const joined = plan(first, { writers, nowMs: NOW_MS + 5_000 })
  assert.deepEqual(shape(joined).writers, ['a serving', 'b serving', 'c serving'])
  assert.equal(joined.moved, 0)
  const settled = plan(joined, { writers, nowMs: NOW_MS + 15_000 })
  assert.equal(settled.moved, 341)
})

test('with everybody gone the last table stands', () => {
  const first = plan(undefined)
  const writers = [seen('a', { isAlive: false }), seen('b', { isAlive: false })]
  const away = plan(first, { writers, nowMs: NOW_MS + 5_000 })
  const later = plan(away, { writers, nowMs: NOW_MS + 600_000 })
  assert.deepEqual(shape(later), { writers: ['a leaving', 'b leaving'], unowned: 0 })
  assert.deepEqual(later.table.owners, first.table.owners)
})

test('where more leases ran out at once than did not, who has one does not get the pushes of all', () => {
  const ids = ['a', 'b', 'c', 'd', 'e']
  const first = plan(undefined, { writers: ids.map((writerId) => seen(writerId)) })
  const at = (durationMs: number, alive: readonly string[], before: PlacementPlan) =>
    plan(before, {
      writers: ids.map((writerId) => seen(writerId, { isAlive: alive.includes(writerId) })),
      nowMs: NOW_MS + durationMs,
    })
  // The metastore or its database was away: all come back within seconds.
  const one = at(700_000, ['c'], first)
  assert.deepEqual(one.table, first.table)
  const two = at(701_000, ['c', 'd'], one)
  assert.deepEqual(shape(two), shape(first))
  assert.ok(two.moved <= 2, 'even out between those that are back')
  const three = at(702_000, ['b', 'c', 'd'], two)
  assert.deepEqual(shape(three).writers, ['a leaving', 'b serving', 'c serving', 'd serving', 'e leaving'])
  const leaving = plan(one, {
    writers: ids.map((writerId) =>
      seen(writerId, writerId === 'a' ? { state: 'leaving' } : { isAlive: writerId === 'c' }),
    ),
    nowMs: NOW_MS + 701_000,
  })
  assert.equal(shape(leaving).writers[0], 'a leaving', 'its own word counts')
  assert.deepEqual(shape(at(761_000, ['c'], one)).writers, ['c serving'], 'after a minute they are gone')
})

test('a service gets a width by the rates, a tenant the one that was set, within the slots', () => {
  const rates = [
    { tenant: 't', service: 'busy', bytesPerSecond: 10 * 1_024 * 1_024, profilesPerSecond: 1 },
    { tenant: 't', service: 'many', bytesPerSecond: 1, profilesPerSecond: 1_900 },
    { tenant: 't', service: 'calm', bytesPerSecond: 1, profilesPerSecond: 90 },
  ]
  const tenants = [
    { tenant: 't', width: 5_000 },
    { tenant: 'u', width: 16 },
  ]
  const { table, state } = plan(undefined, { rates, tenants })
  assert.deepEqual(table.widths, {
    default: 1,
    services: [
      { tenant: 't', service: 'many', width: 24 },
      { tenant: 't', service: 'busy', width: 16 },
    ],
    tenants: [
      { tenant: 't', width: 1_024 },
      { tenant: 'u', width: 16 },
    ],
  })
  assert.equal(state.services.length, 3)
})

test('loads are looked at every half minute', () => {
  const rates = Array.from({ length: 12 }, (_, i) => ({
    tenant: 't',
    service: `s${i}`,
    bytesPerSecond: 1_024 * 1_024,
    profilesPerSecond: 1,
  }))
  const writers = ['a', 'b', 'c', 'd', 'e', 'f'].map((writerId) => seen(writerId))
  const first = plan(undefined, { writers })
  const soon = plan(first, { writers, rates, nowMs: NOW_MS + 25_000 })
  assert.equal(soon.moved, 0)
  const later = plan(soon, { writers, rates, nowMs: NOW_MS + 30_000 })
  assert.ok(later.moved > 0)
  assert.equal(plan(later, { writers, rates, nowMs: NOW_MS + 60_000 }).moved, 0)
})

test('a pass that read busy services alone widens them and balances nothing', () => {
  const first = plan(undefined)
  const nowMs = NOW_MS + 31_000
  const { state } = first
  const due = (atMs: number) => isBalanceDue({ state, nowMs: atMs, policy: PLACEMENT_POLICY_DEFAULT })
  assert.deepEqual([due(NOW_MS + 29_999), due(nowMs), due(NOW_MS - 1)], [false, true, true])
  const rates = [{ tenant: 't', service: 's', bytesPerSecond: 0, profilesPerSecond: 700 }]
  const busy = plan(first, { rates, areBusyOnly: true, nowMs })
  assert.deepEqual(busy.table.widths.services, [{ tenant: 't', service: 's', width: 12 }])
  assert.equal(busy.state.balancedMs, first.state.balancedMs)
  assert.equal(plan(first, { rates, nowMs }).state.balancedMs, nowMs)
})

test('a pass about writers alone leaves widths and loads for the next one', () => {
  const rates = [{ tenant: 't', service: 'busy', bytesPerSecond: 1, profilesPerSecond: 1_000 }]
  const first = plan(undefined, { rates })
  const writers = [seen('a'), seen('b', { state: 'leaving' })]
  const about = plan(first, { writers, rates: undefined, nowMs: NOW_MS + 3_600_000 })
  assert.deepEqual(shape(about).writers, ['a serving', 'b leaving'])
  assert.deepEqual(about.table.widths, first.table.widths)
  assert.deepEqual([about.state.services, about.state.balancedMs], [first.state.services, first.state.balancedMs])
})

test('names that are as long as names may be make no table that edges refuse', () => {
  // Six bytes each in JSON.
  const long = '\u0001'.repeat(2_040)
  const busy = { tenant: 't', bytesPerSecond: 1, profilesPerSecond: 900 }
  const rates = Array.from({ length: 1_000 }, (_, i) => ({ ...busy, service: `${long}${i}` }))
  const { table, state } = plan(undefined, { rates: [...rates, { ...busy, service: 'shop' }] })
  const sizeBytes = new TextEncoder().encode(placementJson(table)).length
  assert.ok(sizeBytes < 0.75 * TABLE_MAX_BYTES, `${sizeBytes} bytes`)
  assert.ok(table.widths.services.length > 100, 'as many as there is room for')
  assert.ok(
    table.widths.services.some(({ service }) => service === 'shop'),
    'a short one finds room',
  )
  assert.equal(state.services.length, table.widths.services.length, 'nor is the rest kept for the next pass')
})
