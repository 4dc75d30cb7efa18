/** Planning begins where the live segments begin, and looks at all of them now and then. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { commitSegment } from '#db/sql/commit-segment.ts'
import { selectOldestLive, selectWaitingSegments } from '#db/sql/waiting-segments.ts'
import { Planner } from '../../../apps/metastore/planner.ts'
import { defaultSettings } from '../../../apps/metastore/settings.ts'
import { HandClock } from '../../support/hand-clock.ts'
import { makeSegment } from '../../support/metastore-requests.ts'
import { type TestDatabase, withDatabase } from '../../support/postgres.ts'
import { createSilentLog } from '../../support/silent-log.ts'

let database: TestDatabase
before(async () => {
  database = await withDatabase()
})
after(() => database.close())

const commit = (objectId: string, n: number) =>
  commitSegment(database.sql, makeSegment(objectId, [{ tenant: 't', profiles: [n] }]), { deletionGraceMs: 0 })

async function moveBack(objectId: string, minutes: number): Promise<void> {
  const { sql } = database
  await sql`update objects set created_at = created_at - ${minutes} * interval '1 minute' where id = ${objectId}`
  await sql`update segments set created_at = created_at - ${minutes} * interval '1 minute' where object_id = ${objectId}`
}

test('the oldest live one, and those from a time on', async () => {
  const { sql } = database
  assert.equal(await selectOldestLive(sql), undefined)
  await commit('old', 1)
  await moveBack('old', 10)
  await commit('new', 2)
  const oldestMs = (await selectOldestLive(sql))!
  const ids = async (fromMs?: number) =>
    (await selectWaitingSegments(sql, 10, undefined, fromMs)).waiting.map(({ objectId }) => objectId)
  assert.deepEqual(await ids(), ['old', 'new'])
  assert.deepEqual(await ids(oldestMs - 1), ['old', 'new'])
  assert.deepEqual(await ids(oldestMs + 1_000), ['new'])
  await sql`update segments set is_live = false, live = live # live`
})

test('what comes to life below where planning begins is found with the next look at all', async () => {
  const { sql } = database
  const clock = new HandClock(1_000_000)
  const settings = defaultSettings('planner')
  const planner = new Planner({ sql, clock, log: createSilentLog(), settings, onJobs: () => undefined })
  const held = async (objectId: string) =>
    (await sql`select from job_sources where object_id = ${objectId}`).length === 1
  await commit('first', 3)
  await moveBack('first', 1)
  await planner.pass()
  assert.ok(await held('first'))
  // As a segment that somebody has woken; planning begins a minute before `first`.
  await commit('woken', 4)
  await moveBack('woken', 60)
  await commit('next', 5)
  await moveBack('next', 1)
  clock.advance(29_000)
  await planner.pass()
  assert.deepEqual([await held('next'), await held('woken')], [true, false])
  clock.advance(1_000)
  await planner.pass()
  assert.equal(await held('woken'), true)
  await planner.release()
})
