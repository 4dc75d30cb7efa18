/** Metastores whose clocks are ten minutes ahead and behind, over one database: the database's clock decides. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { MS_PER_MINUTE } from '#core/units.ts'
import { createMetastore, type RunningMetastore } from '../../../apps/metastore/app.ts'
import { defaultSettings } from '../../../apps/metastore/settings.ts'
import { HandClock } from '../../support/hand-clock.ts'
import { makeSegment } from '../../support/metastore-requests.ts'
import { withDatabase, type TestDatabase } from '../../support/postgres.ts'
import { createSilentLog } from '../../support/silent-log.ts'

let database: TestDatabase
let ahead: RunningMetastore
let behind: RunningMetastore
const ran: string[] = []

before(async () => {
  database = await withDatabase()
  const make = (name: string, skewMs: number) => {
    const defaults = defaultSettings(name)
    return createMetastore({
      sql: database.sql,
      clock: new HandClock(Date.now() + skewMs),
      log: createSilentLog(),
      settings: { ...defaults, segmentPolicy: { ...defaults.segmentPolicy, triggerAgeMs: 0 } },
      duties: [{ name: 'skewed', intervalMs: 5 * MS_PER_MINUTE, run: async () => void ran.push(name) }],
    })
  }
  ahead = make('ahead', 10 * MS_PER_MINUTE)
  behind = make('behind', -10 * MS_PER_MINUTE)
  // The next range is made too, so that a clock behind misses nothing.
  await behind.cleaner.ensurePartitions()
})
after(async () => {
  await Promise.all([ahead.stop(), behind.stop()])
  await database.close()
})

test('leases, ids, jobs and duties go by the time of the database, not by that of ten minutes more or less (H36)', async () => {
  const { sql } = database
  const first = await ahead.commitSegment(makeSegment('skew-1', [{ profiles: [1] }]))
  const again = await behind.commitSegment(makeSegment('skew-2', [{ profiles: [1, 2] }]))
  assert.deepEqual([first.skips.length, again.skips.map((skip) => [...skip.positions])], [0, [[0]]], 'one id, once')
  assert.equal(await ahead.planner.pass(), 1)
  const lease = async () => (await sql`select holder, epoch from leases where name = 'planning'`)[0]
  const held = { ...(await lease()) }
  assert.equal(held.holder, 'ahead')
  assert.equal(await behind.planner.pass(), 0)
  assert.deepEqual({ ...(await lease()) }, held, 'a clock behind takes no lease, a clock ahead loses none')
  const poll = { workerId: 'w', capacity: 1, running: [], failed: [], released: [], waitMs: 0 }
  const { jobs } = await behind.pollJobs(poll)
  assert.equal(jobs.length, 1)
  for (const each of [ahead, behind]) await each.planner.pass()
  const [job] = await sql`select state, failures from jobs`
  assert.deepEqual({ ...job }, { state: 'running', failures: 0 }, 'a lease of 15 s lives, whoever looks')
  const cleaned = await ahead.cleaner.pass()
  assert.deepEqual([cleaned.profileIds, cleaned.jobs, cleaned.objects], [0, 0, 0], 'nothing is ten minutes older')
  await ahead.duties.runDue()
  await behind.duties.runDue()
  await ahead.duties.runDue()
  assert.deepEqual(ran, [ran[0]], 'due in five minutes of the database')
  const parts = await sql`select distinct tableoid::regclass::text as part from segments`
  assert.ok(
    parts.every(({ part }) => part !== 'segments_default'),
    'rows have their partitions',
  )
})
