import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRouter, createSlotLister, ROUTE_WRITERS_MAX } from '#core/placement/route.ts'
import type { PlacementTable } from '#core/placement/table.ts'
import { mix32 } from '#core/wire/hash.ts'

interface TableShape {
  writers?: number
  slots?: number
  leaving?: number[]
  owners?: number[]
  widths?: Partial<PlacementTable['widths']>
}

function tableOf({ writers = 8, slots = 64, leaving = [], owners, widths = {} }: TableShape = {}): PlacementTable {
  return {
    generation: 1,
    slots,
    writers: Array.from({ length: writers }, (_, i) => ({
      writerId: `w${i}`,
      address: `http://w${i}`,
      state: leaving.includes(i) ? ('leaving' as const) : ('serving' as const),
    })),
    owners: owners ?? Array.from({ length: slots }, (_, slot) => (writers === 0 ? -1 : mix32(slot) % writers)),
    widths: { default: 1, services: [], tenants: [], ...widths },
  }
}

const listServiceSlots = (table: PlacementTable, service: { tenant: string; service: string }) =>
  createSlotLister(table)(service)

const key = (i: number, of: { tenant?: string; service?: string } = {}) => ({
  tenant: of.tenant ?? 'tenant',
  service: of.service ?? 'service',
  seriesHash: mix32(i),
})

test('the owner of the slot comes first, then those of the slots that follow', () => {
  const table = tableOf({ widths: { default: 64 }, owners: Array.from({ length: 64 }, (_, slot) => slot % 8) })
  const router = createRouter(table)
  const first = new Set<number>()
  for (let i = 0; i < 200; i++) {
    const [a, b, c, ...rest] = router.order(key(i))
    assert.deepEqual([b, c], [(a! + 1) % 8, (a! + 2) % 8])
    assert.equal(rest.length, 0)
    first.add(a!)
  }
  assert.equal(first.size, 8)
})

test('retries stay inside the service, then inside the tenant', () => {
  const widths = {
    services: [{ tenant: 'tenant', service: 'service', width: 2 }],
    tenants: [{ tenant: 'tenant', width: 5 }],
  }
  const shape = tableOf({ writers: 64, owners: Array.from({ length: 64 }, (_, slot) => slot), widths })
  const own = listServiceSlots(shape, { tenant: 'tenant', service: 'service' })
  assert.equal(own.length, 2)
  const router = createRouter(shape)
  const tenantSlots = new Set<number>()
  for (let i = 0; i < 300; i++) {
    const service = `service-${i}`
    for (const slot of listServiceSlots(shape, { tenant: 'tenant', service })) tenantSlots.add(slot)
    const order = router.order(key(i))
    assert.ok(own.includes(order[0]!) && own.includes(order[1]!), `${order} of ${own}`)
  }
  assert.equal(tenantSlots.size, 5)
  for (let i = 0; i < 100; i++) assert.ok(tenantSlots.has(router.order(key(i))[2]!))
})

test('the writers of a service are no more than its width', () => {
  for (const width of [1, 3, 7]) {
    const table = tableOf({ widths: { services: [{ tenant: 'tenant', service: 'service', width }] } })
    const router = createRouter(table)
    const writers = new Set<number>()
    for (let i = 0; i < 500; i++) writers.add(router.order(key(i))[0]!)
    const slots = listServiceSlots(table, { tenant: 'tenant', service: 'service' })
    assert.deepEqual([...writers].sort(), [...new Set(slots.map((slot) => table.owners[slot]!))].sort())
    assert.equal(slots.length, width)
  }
})

test('writers that serve come before those that leave, which are not forgotten', () => {
  const router = createRouter(tableOf({ writers: 4, leaving: [0, 1], widths: { default: 64 } }))
  for (let i = 0; i < 200; i++) {
    const order = router.order(key(i))
    assert.equal(order.length, ROUTE_WRITERS_MAX)
    assert.deepEqual(order.slice(0, 2).sort(), [2, 3])
    assert.ok(order[2] === 0 || order[2] === 1)
  }
  assert.deepEqual([...createRouter(tableOf({ writers: 2, leaving: [0, 1] })).order(key(1))].sort(), [0, 1])
})

test('no more writers than there are, none twice, and none of an empty table', () => {
  for (const writers of [0, 1, 2, 3, 4]) {
    const router = createRouter(tableOf({ writers, widths: { default: 8 } }))
    for (let i = 0; i < 50; i++) {
      const order = router.order(key(i))
      assert.equal(order.length, Math.min(writers, ROUTE_WRITERS_MAX))
      assert.equal(new Set(order).size, order.length)
    }
  }
})

test('slots without an owner are passed over; a writer without a slot is the last resort', () => {
  const owners = new Array<number>(64).fill(-1)
  owners[9] = 2
  const router = createRouter(tableOf({ writers: 3, owners, widths: { default: 4 } }))
  const none = createRouter(tableOf({ writers: 3, owners: new Array<number>(64).fill(-1) }))
  for (let i = 0; i < 50; i++) {
    assert.equal(router.order(key(i))[0], 2)
    assert.deepEqual([...router.order(key(i))].sort(), [0, 1, 2])
    assert.deepEqual([...none.order(key(i))].sort(), [0, 1, 2])
  }
})

test('equal series go to equal writers, from router to router', () => {
  const table = tableOf({ widths: { default: 16 } })
  const a = createRouter(table)
  const b = createRouter(table)
  for (let i = 0; i < 300; i++) assert.deepEqual(a.order(key(i)), b.order(key(i)))
})

test('a width that grows by one moves one series in width', () => {
  const routed = (width: number) => {
    const owners = Array.from({ length: 64 }, (_, slot) => slot)
    return createRouter(tableOf({ writers: 64, owners, widths: { default: width } }))
  }
  for (const width of [4, 15, 40]) {
    const [before, after] = [routed(width), routed(width + 1)]
    let moved = 0
    for (let i = 0; i < 5_000; i++) if (before.order(key(i))[0] !== after.order(key(i))[0]) moved++
    const expected = 5_000 / (width + 1)
    assert.ok(moved > expected * 0.75 && moved < expected * 1.25, `${moved} of ${expected}`)
  }
})

test('services and tenants start at slots of their own, as widths allow', () => {
  const table = tableOf({ widths: { default: 1, tenants: [{ tenant: 'narrow', width: 4 }] } })
  const starts = new Set<number>()
  const narrow = new Set<number>()
  for (let i = 0; i < 1_000; i++) {
    starts.add(listServiceSlots(table, { tenant: 'wide', service: `s${i}` })[0]!)
    narrow.add(listServiceSlots(table, { tenant: 'narrow', service: `s${i}` })[0]!)
  }
  assert.equal(starts.size, 64)
  assert.equal(narrow.size, 4)
  const tenants = new Set(
    Array.from({ length: 1_000 }, (_, i) => listServiceSlots(table, { tenant: `t${i}`, service: 's' })[0]!),
  )
  assert.equal(tenants.size, 64)
})

test('an order is made once, also where services are more than are kept', () => {
  const router = createRouter(tableOf({ writers: 4 }))
  const known = router.order(key(1))
  assert.equal(router.order({ ...key(2) }), known)
  for (let i = 0; i < 20_001; i++) router.order(key(1, { service: `s${i}` }))
  assert.deepEqual(router.order(key(1)), known)
  const wide = createRouter(tableOf({ slots: 1_024, writers: 4, widths: { default: 1_024 } }))
  const order = wide.order(key(1))
  for (let service = 0; service < 80; service++) {
    for (let i = 0; i < 2_000; i++) wide.order(key(i, { service: `s${service}` }))
  }
  assert.deepEqual(wide.order(key(1)), order)
})

test('names of any length are routed, and the router keeps no more of them than a bound', () => {
  const router = createRouter(tableOf())
  const kept = router.order(key(1))
  for (let i = 0; i < 1_000; i++) router.order(key(1, { service: `s${i}` }))
  assert.equal(router.order(key(1)), kept, 'as many as are common')
  const huge = 'x'.repeat(1_000_000)
  for (let i = 0; i < 8; i++) assert.equal(router.order(key(1, { service: `${huge}${i}` })).length, 3)
  assert.equal(router.order(key(1)), kept, 'one that no writer would take is not kept at all')
  const long = 'y'.repeat(2_000)
  for (let i = 0; i < 2_500; i++) router.order(key(1, { service: `${long}${i}` }))
  assert.notEqual(router.order(key(1)), kept, 'all are forgotten past the bound')
  assert.deepEqual(router.order(key(1)), kept)
})
