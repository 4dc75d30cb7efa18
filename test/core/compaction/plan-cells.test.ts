import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { type PlanningCell, planRanges, wholeDays } from '#core/compaction/plan-cells.ts'
import { planWindowJobs, type WaitingDataset } from '#core/compaction/plan-windows.ts'
import { LAST_LEVEL, WINDOW_COMPACTION_POLICY, windowMsOfLevel } from '#core/compaction/policy.ts'
import { floorTo, MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE } from '#core/units.ts'

const DAY = 20_000 * MS_PER_DAY
const policy = WINDOW_COMPACTION_POLICY

const cell = (hour: number, levelMin: number, tenant = 't'): PlanningCell => ({
  tenant,
  windowStartMs: DAY + hour * MS_PER_HOUR,
  levelMin,
})

/** `tenant from-to` in hours of the day. */
function ranges(cells: readonly PlanningCell[], atHours: number): string[] {
  const inHours = (ms: number) => (ms - DAY) / MS_PER_HOUR
  return planRanges(cells, policy, DAY + atHours * MS_PER_HOUR).map(
    ({ tenant, fromMs, toMs }) => `${tenant} ${inHours(fromMs)}-${inHours(toMs)}`,
  )
}

const TABLE: readonly { name: string; cells: readonly PlanningCell[]; atHours: number; ranges: readonly string[] }[] = [
  { name: 'tiers of the current hour', cells: [cell(3, 1)], atHours: 3.5, ranges: ['t 3-4'] },
  { name: 'a closed hour that waits for its 6 h rests', cells: [cell(2, 5)], atHours: 3.5, ranges: [] },
  { name: 'late data wakes its hour alone', cells: [cell(1, 5), cell(2, 1)], atHours: 4, ranges: ['t 2-3'] },
  { name: 'six closed hours', cells: [cell(0, 5), cell(4, 5)], atHours: 6.1, ranges: ['t 0-6'] },
  { name: 'not before the grace is over', cells: [cell(0, 5), cell(4, 5)], atHours: 6.05, ranges: [] },
  { name: 'a block of 6 h that waits for its day rests', cells: [cell(0, 6)], atHours: 12, ranges: [] },
  {
    name: 'late data under a block of 6 h takes all of it along',
    cells: [cell(0, 6), cell(3, 1)],
    atHours: 12,
    ranges: ['t 0-6'],
  },
  { name: 'a closed day', cells: [cell(0, 6), cell(6, 6)], atHours: 24.1, ranges: ['t 0-24'] },
  {
    name: 'every tenant on its own',
    cells: [cell(3, 1, 'a'), cell(4, 5, 'a'), cell(3, 2, 'b')],
    atHours: 5,
    ranges: ['a 3-4', 'b 3-4'],
  },
  { name: 'nothing', cells: [], atHours: 3, ranges: [] },
]

for (const { name, cells, atHours, ranges: expected } of TABLE) {
  test(`ranges to plan: ${name}`, () => {
    assert.deepEqual(ranges(cells, atHours), expected)
  })
}

test('of a slice that was cut only whole days of tenants count', () => {
  const cells = [cell(1, 1, 'a'), cell(2, 1, 'b'), cell(25, 1, 'b'), cell(26, 1, 'b')]
  assert.deepEqual(wholeDays(cells, false), cells)
  assert.deepEqual(wholeDays(cells, true), cells.slice(0, 2))
  assert.deepEqual(wholeDays(cells.slice(2), true), [])
})

const arbitraryDataset = fc
  .record({
    level: fc.integer({ min: 1, max: LAST_LEVEL }),
    hour: fc.integer({ min: 0, max: 47 }),
    tenant: fc.constantFrom('t', 'u'),
    service: fc.constantFrom('a', 'b'),
    sizeBytes: fc.integer({ min: 1, max: 40_000_000 }),
    ageMinutes: fc.integer({ min: 0, max: 600 }),
    isHeld: fc.boolean(),
  })
  .map(({ hour, ageMinutes, ...rest }) => ({ ...rest, hour, ageMinutes }))

test('planning the ranges is planning everything', () => {
  fc.assert(
    fc.property(
      fc.array(arbitraryDataset, { maxLength: 60 }),
      fc.integer({ min: 0, max: 60 * 60 }),
      (specs, minutes) => {
        const nowMs = DAY + minutes * MS_PER_MINUTE
        const all: WaitingDataset[] = specs.map(({ hour, ageMinutes, isHeld, ...rest }, i) => ({
          ...rest,
          // Several datasets an object, as tiers have them.
          objectId: `o${i >> 1}`,
          index: i & 1,
          windowStartMs: floorTo(DAY + hour * MS_PER_HOUR, windowMsOfLevel(rest.level)),
          createdAtMs: nowMs - ageMinutes * MS_PER_MINUTE,
          isHeld: isHeld && i % 5 === 0,
        }))
        const loaded = load(all, nowMs)
        assert.deepEqual(
          planWindowJobs(loaded, policy, nowMs),
          planWindowJobs(withBlocks(belowLast(all), all), policy, nowMs),
        )
      },
    ),
    { numRuns: 500 },
  )
})

/** As the statements do: cells, their ranges, and the finished blocks of the services and days in them. */
function load(all: readonly WaitingDataset[], nowMs: number): WaitingDataset[] {
  const below = belowLast(all)
  const levels = new Map<string, PlanningCell>()
  for (const { tenant, windowStartMs, level } of below) {
    const key = `${tenant} ${windowStartMs}`
    const levelMin = Math.min(level, levels.get(key)?.levelMin ?? level)
    levels.set(key, { tenant, windowStartMs, levelMin })
  }
  const cells = [...levels.values()].sort((a, b) =>
    a.tenant === b.tenant ? a.windowStartMs - b.windowStartMs : a.tenant < b.tenant ? -1 : 1,
  )
  const chosen = planRanges(cells, policy, nowMs)
  const waiting = below.filter((dataset) =>
    chosen.some(
      ({ tenant, fromMs, toMs }) =>
        tenant === dataset.tenant && dataset.windowStartMs >= fromMs && dataset.windowStartMs < toMs,
    ),
  )
  return withBlocks(waiting, all)
}

function belowLast(all: readonly WaitingDataset[]): WaitingDataset[] {
  return all.filter(({ level }) => level < LAST_LEVEL)
}

/** A finished block of a service that has nothing waiting holds nobody up: it is loaded neither way. */
function withBlocks(waiting: readonly WaitingDataset[], all: readonly WaitingDataset[]): WaitingDataset[] {
  const dayKey = ({ tenant, service, windowStartMs }: WaitingDataset) =>
    `${tenant} ${service} ${floorTo(windowStartMs, MS_PER_DAY)}`
  const days = new Set(waiting.map(dayKey))
  return [...waiting, ...all.filter((dataset) => dataset.level === LAST_LEVEL && days.has(dayKey(dataset)))]
}
