import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { BALANCE_MOVES_MAX } from '#core/placement/owners.ts'
import { PLACEMENT_POLICY_DEFAULT, planPlacement } from '#core/placement/plan.ts'
import { MS_PER_MINUTE } from '#core/units.ts'
import { mix32 } from '#core/wire/hash.ts'
import { Fleet, judge, PASS_MS, type Planner } from './simulation.ts'

const { damping, widths } = PLACEMENT_POLICY_DEFAULT
/** Widths fall in windows of ten minutes: nothing is missed between. */
const SELDOM_MS = 30_000
const names = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => `writer-${String(from + i).padStart(4, '0')}`)

/** A fleet that has settled, with small services on it. */
function fleetOf(plan: Planner, { writers, services = 0 }: { writers: number; services?: number }): Fleet {
  const fleet = new Fleet(plan)
  fleet.join(...names(writers))
  for (let i = 0; i < services; i++) fleet.serve(`small-${i}`, 5 + (i % 20) * 4, `tenant-${i % 7}`)
  fleet.run(3 * MS_PER_MINUTE, 15_000)
  return fleet
}

/** Writers join, leave and come back, one event at a time; movement of each is bounded by its share. */
function joinAndLeave(plan: Planner): string[] {
  const wrong: string[] = []
  for (const writers of [1, 2, 3, 7, 20, 100, 500]) {
    const fleet = fleetOf(plan, { writers })
    const share = Math.ceil(fleet.table.slots / writers) + 1
    const expect = (what: string, moved: number, allowed: number) => {
      if (moved > allowed) wrong.push(`${writers} writers, ${what}: ${moved} slots moved, allowed ${allowed}`)
      wrong.push(...judge(fleet).map((each) => `${writers} writers, ${what}: ${each}`))
    }
    fleet.join('newcomer')
    expect('one joins', fleet.run(MS_PER_MINUTE), share)
    fleet.leave('newcomer')
    const movedMeanwhile = fleet.run(damping.holdMs - PASS_MS)
    fleet.join('newcomer')
    expect('it restarts', movedMeanwhile + fleet.run(2 * MS_PER_MINUTE), 0)
    fleet.leave('newcomer')
    expect('it is gone', fleet.run(2 * MS_PER_MINUTE), share)
    if (fleet.counts().reduce((sum, count) => sum + count, 0) !== fleet.table.slots) wrong.push('slots without owner')
  }
  return wrong
}

/** One service from 1 to 10,000 profiles/s and back. */
function growAndShrink(plan: Planner, figures: string[] = []): string[] {
  const wrong: string[] = []
  const fleet = fleetOf(plan, { writers: 40, services: 300 })
  let before = 1
  for (const rate of [1, 10, 100, 1_000, 4_000, 10_000]) {
    fleet.serve('hot', rate)
    fleet.run(2 * MS_PER_MINUTE)
    wrong.push(...judge(fleet).map((each) => `at ${rate}/s: ${each}`))
    const width = fleet.width('hot')
    const load = rate / widths.unitProfilesPerSecond
    if (width < before) wrong.push(`at ${rate}/s: the width fell from ${before} to ${width}`)
    if (width > Math.max(1, load * 2)) wrong.push(`at ${rate}/s: a width of ${width} for a load of ${load}`)
    figures.push(`${rate} profiles/s: width ${width}, writers (objects a flush and query) ${fleet.writersOf('hot')}`)
    before = width
  }
  fleet.serve('hot', 1)
  fleet.run(widths.windowMs - MS_PER_MINUTE, SELDOM_MS)
  if (fleet.width('hot') !== before) wrong.push(`the width fell to ${fleet.width('hot')} within a window`)
  fleet.run(2 * widths.windowMs, SELDOM_MS)
  if (fleet.width('hot') < before / 4) wrong.push(`the width fell to ${fleet.width('hot')} in three windows`)
  fleet.run(9 * widths.windowMs, SELDOM_MS)
  if (fleet.width('hot') !== 1) wrong.push(`an hour and a half later the width is ${fleet.width('hot')}`)
  return [...wrong, ...judge(fleet)]
}

/** A load that swings around a bound changes no width. */
function swing(plan: Planner): string[] {
  const fleet = fleetOf(plan, { writers: 10 })
  fleet.serve('hot', 1_000)
  fleet.run(5 * MS_PER_MINUTE)
  const generation = fleet.table.generation
  for (let minute = 0; minute < 60; minute++) {
    fleet.serve('hot', minute % 2 === 0 ? 300 : 1_150)
    fleet.run(MS_PER_MINUTE, 15_000)
  }
  const changes = fleet.table.generation - generation
  return changes === 0 ? [] : [`the table changed ${changes} times`]
}

/** Services that are large and have one slot each, so that chance alone would put several on one writer. */
function lump(plan: Planner): string[] {
  const wrong: string[] = []
  for (let seed = 0; seed < 10; seed++) {
    const fleet = fleetOf(plan, { writers: 8 })
    for (let i = 0; i < 24; i++) fleet.serve(`lump-${seed}-${i}`, 95)
    fleet.run(3 * MS_PER_MINUTE)
    wrong.push(...judge(fleet))
  }
  return wrong
}

/** One of ten writers comes and goes with every period: no slot changes hands twice within the damping. */
function flap(plan: Planner): string[] {
  const wrong: string[] = []
  for (const periodMs of [5_000, 20_000, 65_000, 75_000, 130_000, 200_000]) {
    const fleet = fleetOf(plan, { writers: 10 })
    for (let cycle = 0; cycle < 12; cycle++) {
      fleet.leave('writer-0004')
      fleet.run(periodMs)
      fleet.join('writer-0004')
      fleet.run(periodMs)
    }
    for (const changes of fleet.changes) {
      for (let i = 1; i < changes.length; i++) {
        const gapMs = changes[i]! - changes[i - 1]!
        if (gapMs < damping.dampingMs) wrong.push(`period ${periodMs}: a slot changed hands after ${gapMs} ms`)
      }
    }
  }
  return [...new Set(wrong)]
}

/** Everything at once, by a seed; every pass moves at most what its events explain. */
function disorder(plan: Planner, seed: number): string[] {
  const wrong: string[] = []
  let drawn = seed
  const draw = (below: number) => mix32(++drawn * 7_919) % below
  const fleet = fleetOf(plan, { writers: 3 + draw(60), services: 100 })
  for (let event = 0; event < 60; event++) {
    const known = [...fleet.writers.keys()]
    const writerId = known[draw(known.length)]!
    const kind = draw(4)
    if (kind === 0) fleet.join(...names(1 + draw(5), 1_000 + event * 10))
    else if (kind === 1 && fleet.serving().length > 2) fleet.leave(writerId)
    else if (kind === 2) fleet.join(writerId)
    else fleet.serve(`busy-${draw(5)}`, 1 + draw(3_000))
    for (let pass = 0; pass < 1 + draw(30); pass++) {
      const before = new Map(fleet.state.writers.map((writer) => [writer.writerId, writer.standing]))
      const moved = fleet.pass()
      const changed = fleet.state.writers.filter(
        (writer) => (before.get(writer.writerId) ?? 'joining') !== writer.standing,
      )
      const members = fleet.state.writers.filter(({ standing }) => standing === 'member').length
      // 1: the mean is of those that remain, and who was away may have had one slot more.
      const share = Math.ceil(fleet.table.slots / Math.max(1, members - changed.length)) + 2
      const allowed = changed.length * share + BALANCE_MOVES_MAX
      if (moved > allowed) wrong.push(`seed ${seed}: ${moved} slots moved, allowed ${allowed}`)
    }
  }
  fleet.run(5 * MS_PER_MINUTE)
  return [...wrong, ...judge(fleet).map((each) => `seed ${seed}: ${each}`)]
}

describe('placement in virtual time', () => {
  test('a writer that joins or leaves moves its share and nothing else; a restart moves nothing', () => {
    assert.deepEqual(joinAndLeave(planPlacement), [])
  })

  test('a service grows from 1 to 10,000 profiles/s at once, and back slowly', () => {
    const figures: string[] = []
    assert.deepEqual(growAndShrink(planPlacement, figures), [])
    assert.deepEqual(figures, [
      '1 profiles/s: width 1, writers (objects a flush and query) 1',
      '10 profiles/s: width 1, writers (objects a flush and query) 1',
      '100 profiles/s: width 1, writers (objects a flush and query) 1',
      '1000 profiles/s: width 12, writers (objects a flush and query) 10',
      '4000 profiles/s: width 48, writers (objects a flush and query) 27',
      '10000 profiles/s: width 128, writers (objects a flush and query) 40',
    ])
  })

  test('a load that swings around a bound changes nothing', () => {
    assert.deepEqual(swing(planPlacement), [])
  })

  test('large services on one writer by chance are parted', () => {
    assert.deepEqual(lump(planPlacement), [])
  })

  test('a writer that flaps moves no slot more often than the damping allows', () => {
    assert.deepEqual(flap(planPlacement), [])
  })

  test('in disorder every pass moves what its events explain, and then all is even', () => {
    for (let seed = 1; seed <= 6; seed++) assert.deepEqual(disorder(planPlacement, seed), [])
  })
})

const withPolicy =
  (change: Partial<typeof PLACEMENT_POLICY_DEFAULT>): Planner =>
  (input) =>
    planPlacement({ ...input, policy: { ...input.policy, ...change } })

/** Owners as a table of the members alone gives them: who joins moves nearly everything. */
const byRemainder: Planner = (input) => {
  const plan = planPlacement(input)
  const members = plan.state.writers.filter(({ standing }) => standing === 'member').map(({ writerId }) => writerId)
  if (members.length === 0) return plan
  return {
    ...plan,
    state: { ...plan.state, owners: plan.state.owners.map((_, slot) => members[slot % members.length]!) },
  }
}

/** Who leaves is gone, and who comes is there: nothing is damped. */
const undamped = withPolicy({ damping: { settleMs: 0, holdMs: 0, dampingMs: 0, forgetMs: 0 } })

const planted: [name: string, plan: Planner, scenario: (plan: Planner) => string[]][] = [
  ['slots by remainder', byRemainder, joinAndLeave],
  ['no damping, restarts', undamped, joinAndLeave],
  ['no damping, flaps', undamped, flap],
  ['loads are not looked at', withPolicy({ balanceIntervalMs: Number.POSITIVE_INFINITY }), lump],
  [
    'widths never grow',
    withPolicy({ widths: { ...widths, unitProfilesPerSecond: 1e9, unitBytesPerSecond: 1e12 } }),
    growAndShrink,
  ],
  ['widths fall at once', withPolicy({ widths: { ...widths, windowMs: 0 } }), growAndShrink],
  ['widths follow a swing', withPolicy({ widths: { ...widths, windowMs: 0 } }), swing],
  ['widths never fall', withPolicy({ widths: { ...widths, windowMs: Number.POSITIVE_INFINITY } }), growAndShrink],
  [
    'one writer keeps what it gets',
    (input) => {
      const plan = planPlacement(input)
      const owners = plan.state.owners.map((owner, slot) => (slot < 100 ? plan.state.owners[0]! : owner))
      return { ...plan, state: { ...plan.state, owners } }
    },
    (plan) => disorder(plan, 1),
  ],
]

describe('what the simulation finds', () => {
  for (const [name, plan, scenario] of planted) {
    test(`planted: ${name}`, () => assert.notDeepEqual(scenario(plan), []))
  }
})
