/** Which segments become idle: those of which nothing may be planned, and no other. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { commitSegment } from '#db/sql/commit-segment.ts'
import { markIdleSegments } from '#db/sql/idle-segments.ts'
import { ALL_TENANTS } from '#db/sql/plannable-datasets.ts'
import { selectWaitingSegments } from '#db/sql/waiting-segments.ts'
import { makeSegment } from '../../support/metastore-requests.ts'
import { withDatabase, type TestDatabase } from '../../support/postgres.ts'

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
