/** Ids that a late commit must lose, of tenants that were deleted once, too. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { makeUlid, ulidTimeMs } from '#core/wire/ulid.ts'
import { commitSegment } from '#db/sql/commit-segment.ts'
import { insertCountedIds, readNowMs } from '#db/sql/journal.ts'
import { makeSegment, profileId } from '../../support/metastore-requests.ts'
import { type TestDatabase, withDatabase } from '../../support/postgres.ts'

let database: TestDatabase
let made = 0
before(async () => {
  database = await withDatabase()
})
after(() => database.close())

const newId = (timeMs: number) => makeUlid(timeMs, new Uint8Array(10).fill(++made))

/** Positions that a segment begun at this time loses after these ids were entered. */
async function skipped(tenant: string, beginMs: number): Promise<number[]> {
  const { sql } = database
  const objectId = newId(beginMs)
  const ids = new Uint8Array([...profileId(made * 100 + 1), ...profileId(made * 100 + 2), ...profileId(made * 100 + 1)])
  await insertCountedIds(sql, { tenant, beginMs: ulidTimeMs(objectId), ids })
  const segment = makeSegment(objectId, [{ tenant, profiles: [made * 100, made * 100 + 1, made * 100 + 2] }])
  const outcome = await commitSegment(sql, segment, { deletionGraceMs: 0 })
  assert.equal(outcome.kind, 'committed')
  return outcome.kind === 'committed' ? outcome.skips.flatMap(({ positions }) => positions) : []
}

test('what was entered is lost by the commit, and nothing else', async () => {
  const nowMs = await readNowMs(database.sql)
  assert.ok(Math.abs(nowMs - Date.now()) < 60_000)
  assert.deepEqual(await skipped('plain', nowMs), [1, 2])
  await database.sql`
    insert into tenant_incarnations (tenant, incarnation, live_from, died_at)
    values ('reborn', 3, 3, now() - interval '1 hour'), ('dying', 2, 2, now())`
  assert.deepEqual(await skipped('reborn', nowMs), [1, 2], 'begun after its death: of the living incarnation')
  assert.deepEqual(await skipped('reborn', nowMs - 7_200_000), [1, 2], 'begun before: of the dead one')
  assert.deepEqual(await skipped('dying', nowMs - 7_200_000), [1, 2], 'of the first, whose ids are plain')
})
