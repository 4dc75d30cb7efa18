/** Planning upwards beside the rest: it holds up neither polls nor first compaction, and it rests after what it costs. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { compactedTenants } from '#core/compaction/tenant-switch.ts'
import { JOB_QUEUE_POLICY } from '#core/compaction/policy.ts'
import { createMetastore } from '../../../apps/metastore/app.ts'
import { PlanningRounds } from '../../../apps/metastore/planning-rounds.ts'
import { HandClock } from '../../support/hand-clock.ts'
import { makeSegment } from '../../support/metastore-requests.ts'
import { createSilentLog } from '../../support/silent-log.ts'
import { createSqlMetastore } from '../../support/sql-metastore.ts'

const harness = await createSqlMetastore()
after(() => harness.close())
const { sql } = harness.database
const { settings } = harness
const TENANTS = compactedTenants(JOB_QUEUE_POLICY, [])
const TERM = { name: 'planning', holder: 'test', epoch: 1 }

/** Statements that look for windows wait for `open`, or fail with it. */
function gated() {
  const gate = Promise.withResolvers<void>()
  gate.promise.catch(() => undefined)
  let isAsked = false
  const behind = new Proxy(sql, {
    apply(target, self, args: [TemplateStringsArray]) {
      const run = (): unknown => Reflect.apply(target, self, args)
      if (args[0].raw === undefined || !args[0].join('?').includes('with recursive cell')) return run()
      isAsked = true
      return gate.promise.then(run)
    },
  })
  return { sql: behind, open: gate.resolve, fail: gate.reject, isAsked: () => isAsked }
}

test('a slice that takes long holds up no poll and no first compaction; stopping waits for it', async () => {
  const gate = gated()
  const clock = new HandClock(7_200_000)
  const each = { ...settings, instanceId: 'one', planIntervalMs: 0, planIdleIntervalMs: 0, planWindowsIntervalMs: 0 }
  const one = createMetastore({ sql: gate.sql, clock, log: createSilentLog(), settings: each })
  const ticked = one.planner.tick()
  while (clock.sleeperCount === 0) await sql`select 1`
  assert.ok(gate.isAsked())
  clock.advance(50)
  await ticked

  await one.commitSegment(makeSegment('seg-1', [{ tenant: 't', service: 's', profiles: [1] }]))
  const nothing = { workerId: 'w', running: [], failed: [], released: [], waitMs: 0 }
  const { jobs } = await one.pollJobs({ ...nothing, capacity: 4 })
  assert.deepEqual(
    jobs.map(({ level }) => level),
    [1],
    'beside the slice',
  )
  let isReleased = false
  const released = one.planner.release().then(() => void (isReleased = true))
  await sql`select 1`
  assert.equal(isReleased, false)
  gate.open()
  await released
})

test('a slice that fails is told once, and the next goes on', async () => {
  const gate = gated()
  const clock = new HandClock(7_200_000)
  const log = createSilentLog()
  const each = { ...settings, instanceId: 'two', planIntervalMs: 0, planIdleIntervalMs: 0, planWindowsIntervalMs: 0 }
  const two = createMetastore({ sql: gate.sql, clock, log, settings: each })
  gate.fail(new Error('no answer'))
  for (let i = 0; i < 3; i++) await two.planner.tick()
  const told = log.events.filter(({ event }) => event === 'planning failed')
  assert.deepEqual(
    told.map(({ fields }) => fields['what']),
    ['windows'],
  )
  await two.planner.release()
})

test('what is tidied before a round holds up nothing when it fails: it is told once, and tried again with the next round', async () => {
  const gate = gated()
  gate.open()
  let tidied = 0
  const broken = new Proxy(gate.sql, {
    apply(target, self, args: [TemplateStringsArray]) {
      if (args[0].raw === undefined || !args[0].join('?').includes('delete from workers'))
        return Reflect.apply(target, self, args)
      tidied++
      return Promise.reject(new Error('statement timeout'))
    },
  })
  const clock = new HandClock(7_200_000)
  const log = createSilentLog()
  const each = { ...settings, instanceId: 'three', planIntervalMs: 0, planIdleIntervalMs: 0 }
  const three = createMetastore({ sql: broken, clock, log, settings: each })
  for (let round = 1; round <= 2; round++) {
    clock.advance(settings.planWindowsIntervalMs)
    await three.planner.pass()
    assert.ok(gate.isAsked(), 'there was a slice')
    await three.planner.tick()
    assert.equal(tidied, round)
  }
  const told = log.events.filter(({ event }) => event === 'planning failed')
  assert.deepEqual(
    told.map(({ fields }) => fields['what']),
    ['tidying'],
  )
  await three.planner.release()
})

test('rounds rest for their interval, slices three times as long as they took', async () => {
  const clock = new HandClock(7_200_000)
  let tookMs = 0
  const slow = new Proxy(sql, {
    apply(target, self, args: [TemplateStringsArray]) {
      if (args[0].raw !== undefined && args[0].join('?').includes('with recursive cell')) clock.advance(tookMs)
      return Reflect.apply(target, self, args)
    },
  })
  await sql`delete from datasets`
  const limits = { cellsMax: 1, datasetsMax: 1, rowsMax: 10 }
  const each = { ...settings, planWindowsIntervalMs: 10_000 }
  const log = createSilentLog()
  const rounds = new PlanningRounds({ sql: slow, clock, log, settings: each, insert: (run) => run(), limits })
  const isDueAfter = (ms: number): boolean[] => {
    clock.advance(ms - 1)
    const before = rounds.isDue()
    clock.advance(1)
    return [before, rounds.isDue()]
  }
  assert.deepEqual(isDueAfter(10_000), [false, true])
  await rounds.next(TERM, TENANTS)
  assert.deepEqual([rounds.isUnderWay, isDueAfter(10_000)], [false, [false, true]], 'nothing there, no time taken')
  tookMs = 4_000
  await rounds.next(TERM, TENANTS)
  assert.deepEqual(isDueAfter(12_000), [false, true], 'a round that is one slow slice')

  // Two cells that rest: the round is not over after the first.
  for (const tenant of ['a', 'b']) {
    await sql`insert into objects (id, level, size_bytes, live_datasets) values (${tenant}, 6, 1, 1)`
    await sql`
      insert into datasets (object_id, dataset_index, level, object_size_bytes, tenant, service, window_start_ms, window_ms,
        min_time_ms, max_time_ms, dataset_offset, size_bytes, head_bytes, profile_count, sample_count)
      values (${tenant}, 0, 6, 1, ${tenant}, 's', 0, 3600000, 0, 0, 8, 900, 100, 1, 10)`
  }
  tookMs = 100
  await rounds.next(TERM, TENANTS)
  assert.deepEqual([rounds.isUnderWay, isDueAfter(300)], [true, [false, true]])
  await rounds.next(TERM, TENANTS)
  clock.advance(299)
  assert.deepEqual([rounds.isUnderWay, rounds.isDue()], [true, false])
  rounds.endRest()
  assert.equal(rounds.isDue(), true, 'a pass by hand waits for nothing')
  await rounds.next(TERM, TENANTS)
  assert.deepEqual([rounds.isUnderWay, isDueAfter(10_000)], [false, [false, true]])
  await rounds.next(TERM, TENANTS)
  clock.advance(-3_600_000)
  assert.equal(rounds.isDue(), true, 'a clock that was set back')
})

test('windows that cannot be read are passed over at the third failure, and keep nobody else from being merged', async () => {
  const clock = new HandClock(7_200_000)
  const log = createSilentLog()
  let isBroken = true
  const broken = new Proxy(sql, {
    apply(target, self, args: [TemplateStringsArray, ...unknown[]]) {
      const [strings, ...values] = args
      const isLoad = strings.raw !== undefined && strings.join('?').includes('with waiting as materialized')
      const isAbout = isLoad && JSON.stringify(values).includes('poison')
      if (isBroken && isAbout) return Promise.reject(new Error('statement timeout'))
      return Reflect.apply(target, self, args)
    },
  })
  await sql`delete from datasets`
  for (const tenant of ['before', 'poison', 'poison too', 'quite after']) {
    for (const part of [1, 2]) {
      const id = `${tenant} ${part}`
      await sql`insert into objects (id, level, size_bytes, live_datasets) values (${id}, 1, 1, 1)`
      await sql`
        insert into datasets (object_id, dataset_index, level, object_size_bytes, tenant, service, window_start_ms, window_ms,
          min_time_ms, max_time_ms, dataset_offset, size_bytes, head_bytes, profile_count, sample_count)
        values (${id}, 0, 1, 1, ${tenant}, 's', 0, 3600000, 0, 0, 8, 900, 100, 1, 10)`
    }
  }
  const planned: string[] = []
  const insert = async (run: () => Promise<number>): Promise<number> => {
    const made = await run()
    for (const { tenant } of await sql<{ tenant: string }[]>`select distinct tenant from jobs where level > 1`)
      if (!planned.includes(tenant)) planned.push(tenant)
    return made
  }
  const rounds = new PlanningRounds({ sql: broken, clock, log, settings, insert })
  const [lease] = await sql<{ epoch: number }[]>`
    insert into leases (name, holder, epoch, expires_at) values ('planning', 'test', 1, now() + interval '1 hour')
    on conflict (name) do update set holder = 'test', expires_at = excluded.expires_at returning epoch::int`
  const term = { ...TERM, epoch: lease!.epoch }
  await rounds.next(term, TENANTS)
  assert.deepEqual(planned, ['before'], 'what comes before it')
  for (let i = 0; i < 3; i++) await assert.rejects(rounds.next(term, TENANTS), /statement timeout/)
  assert.equal(rounds.isUnderWay, true)
  await assert.rejects(rounds.next(term, TENANTS), /statement timeout/, 'its neighbour fails too')
  await rounds.next(term, TENANTS)
  assert.deepEqual(planned, ['before', 'quite after'])
  assert.equal(rounds.isUnderWay, false)
  assert.deepEqual(
    log.events.map(({ level, fields }) => [level, fields['tenant'], fields['ranges']]),
    [
      ['error', 'poison', 1],
      ['error', 'poison', 2],
    ],
  )
  isBroken = false
  await rounds.next(term, TENANTS)
  assert.deepEqual(planned.slice(2).sort(), ['poison', 'poison too'], 'the next round begins anew')
})
