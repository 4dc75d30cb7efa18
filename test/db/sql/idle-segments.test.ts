/** Which segments become idle: those of which nothing may be planned, and no other. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { commitSegment } from '#db/sql/commit-segment.ts'
import { markIdleSegments, wakePlannable } from '#db/sql/idle-segments.ts'
import { ALL_TENANTS } from '#db/sql/plannable-datasets.ts'
import { selectWaitingSegments } from '#db/sql/waiting-segments.ts'
import { Planner } from '../../../apps/metastore/planner.ts'
import { defaultSettings } from '../../../apps/metastore/settings.ts'
import { HandClock } from '../../support/hand-clock.ts'
import { makeSegment } from '../../support/metastore-requests.ts'
import { withDatabase, type TestDatabase } from '../../support/postgres.ts'
import { createSilentLog } from '../../support/silent-log.ts'

let database: TestDatabase
before(async () => {
  database = await withDatabase()
})
after(() => database.close())

test('a segment that waits for its age is not idle; one whose tenants are all off is, a mixed one is not', async () => {
  const { sql } = database
  const commit = async (objectId: string, tenants: string[], n: number) => {
    const datasets = tenants.map((tenant, i) => ({ tenant, profiles: [n + i] }))
    await commitSegment(sql, makeSegment(objectId, datasets), { deletionGraceMs: 0 })
  }
  await commit('plain', ['on'], 10)
  await commit('mixed', ['off', 'on'], 20)
  await commit('silent', ['off'], 30)
  const idle = async () =>
    (await sql<{ id: string }[]>`select object_id as id from segments where is_idle order by 1`).map(({ id }) => id)
  assert.equal(await markIdleSegments(sql, 100, () => ALL_TENANTS), 0)
  assert.deepEqual(await idle(), [])
  assert.equal(await markIdleSegments(sql, 100, () => ({ off: ['off'], only: undefined })), 1)
  assert.deepEqual(await idle(), ['silent'])
  const { waiting } = await selectWaitingSegments(sql, 100, { off: ['off'], only: undefined })
  assert.deepEqual(waiting.map(({ objectId, sizeBytes }) => [objectId, sizeBytes]).sort(), [
    ['mixed', 1_000],
    ['plain', 1_064],
  ])
})

test('what another policy left idle is taken up by the first round of a process whose policy allows it', async () => {
  const own = await withDatabase()
  try {
    const { sql } = own
    for (const [n, tenant] of ['off', 'still-off'].entries())
      await commitSegment(sql, makeSegment(`of-${tenant}`, [{ tenant, profiles: [50 + n] }]), { deletionGraceMs: 0 })
    assert.equal(await markIdleSegments(sql, 100, () => ({ off: ['off', 'still-off'], only: undefined })), 2)
    assert.equal(await wakePlannable(sql, () => ({ off: ['off', 'still-off'], only: undefined })), 0)
    const settings = defaultSettings('later', { disabledTenants: ['still-off'] })
    const clock = new HandClock(Date.now())
    const planner = new Planner({ sql, clock, log: createSilentLog(), settings, onJobs: () => undefined })
    clock.advance(settings.planWindowsIntervalMs)
    await planner.pass()
    const { waiting } = await selectWaitingSegments(sql, 100, { off: ['still-off'], only: undefined })
    assert.deepEqual(
      waiting.map(({ objectId }) => objectId),
      ['of-off'],
    )
    await planner.release()
  } finally {
    await own.close()
  }
})
