import assert from 'node:assert/strict'
import { test } from 'node:test'
import { countSlots, reportPlacement, SERVICES_SHOWN_MAX } from '#core/placement/report.ts'
import type { PlacementTable } from '#core/placement/table.ts'

const table: PlacementTable = {
  generation: 3,
  slots: 8,
  writers: [
    { writerId: 'a', address: 'http://a', state: 'serving' },
    { writerId: 'b', address: 'http://b', state: 'serving' },
    { writerId: 'c', address: 'http://c', state: 'leaving' },
  ],
  owners: [0, 1, 0, 1, 0, -1, 0, 1],
  widths: { default: 1, services: [{ tenant: 't', service: 's', width: 8 }], tenants: [] },
}

const known = (service: string, width: number) => ({
  tenant: 't',
  service,
  width,
  bytesPerSecond: 5,
  profilesPerSecond: 7,
  peak: 1,
  windowStartMs: 0,
})

test('services that are spread, over how many writers; slots of nobody are nobody', () => {
  const report = reportPlacement({ table, services: [known('s', 8), known('calm', 1)], changedMs: 9 })
  assert.deepEqual(report, {
    generation: 3,
    changedMs: 9,
    slots: 8,
    services: [{ tenant: 't', service: 's', width: 8, writers: 2, bytesPerSecond: 5, profilesPerSecond: 7 }],
    servicesTotal: 1,
  })
})

test('of many services the first are shown and all are counted', () => {
  const services = Array.from({ length: SERVICES_SHOWN_MAX + 3 }, (_, i) => known(`s${i}`, 2))
  const report = reportPlacement({ table, services, changedMs: 0 })
  assert.equal(report.services.length, SERVICES_SHOWN_MAX)
  assert.equal(report.servicesTotal, SERVICES_SHOWN_MAX + 3)
})

test('slots by writer, also of those that have none', () => {
  assert.deepEqual(
    [...countSlots(table)],
    [
      ['a', 4],
      ['b', 3],
      ['c', 0],
    ],
  )
})
