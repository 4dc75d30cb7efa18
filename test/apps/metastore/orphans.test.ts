/** The search for orphans on a real Postgres: what it may take, and what it must never touch. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { objectKey } from '#core/block/object-key.ts'
import { COUNTER_KEY } from '#core/recovery/commit-counter.ts'
import { makeUlid } from '#core/wire/ulid.ts'
import { MS_PER_DAY, MS_PER_HOUR } from '#core/units.ts'
import { acquireLease, type LeaseTerm } from '#db/sql/leases.ts'
import { createClock } from '#platform/clock.ts'
import { journalKey } from '#platform/journal.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { createRandom } from '#platform/random.ts'
import { type OrphanReport, searchOrphans } from '../../../apps/metastore/orphans.ts'
import { RestoreGuard } from '../../../apps/metastore/restore-guard.ts'
import { makeOutput, makeSegment } from '../../support/metastore-requests.ts'
import { createSilentLog } from '../../support/silent-log.ts'
import { createSqlMetastore, type SqlMetastore } from '../../support/sql-metastore.ts'

const random = createRandom()

describe('orphans', () => {
  let harness: SqlMetastore
  let store: ReturnType<typeof createMemoryStore>
  let guard: RestoreGuard
  let term: LeaseTerm
  let made = 0

  before(async () => {
    harness = await createSqlMetastore()
  })
  after(() => harness.close())

  /** A store and a search of their own: what the table holds of other tests is not in the store. */
  async function fresh() {
    const { sql } = harness.database
    store = createMemoryStore()
    await sql`delete from orphan_candidates`
    await sql`update recovery_state set orphan_cursor = '', orphan_pass_due_at = now(), behind_since = null`
    guard = new RestoreGuard({ sql, store, clock: createClock(), log: createSilentLog(), random })
    assert.equal(await guard.check(), 'level')
    term = (await acquireLease(sql, { name: `orphans ${++made}`, holder: 'test', epoch: undefined, ttlMs: 60_000 }))!
    return { sql, metastore: harness.metastore }
  }

  async function put(ageMs = 2 * MS_PER_DAY): Promise<string> {
    const objectId = makeUlid(Date.now() - ageMs, random.bytes(10))
    await store.put(objectKey(objectId), new Uint8Array(8))
    return objectId
  }

  async function search(sliceKeys = 1_000): Promise<OrphanReport> {
    await harness.database.sql`update recovery_state set orphan_pass_due_at = now()`
    const deps = { sql: harness.database.sql, store, log: createSilentLog(), guard, sliceKeys }
    return await searchOrphans(deps, term, new AbortController().signal)
  }

  const candidates = async () =>
    (await harness.database.sql<{ object_id: string }[]>`select object_id from orphan_candidates order by 1`).map(
      (row) => row.object_id,
    )
  const age = (objectId: string) =>
    harness.database
      .sql`update orphan_candidates set first_seen_at = now() - interval '25 hours' where object_id = ${objectId}`

  test('an object that nobody committed is retired a day after it was seen, then deleted; its late commit is refused (H20)', async () => {
    const { metastore, sql } = await fresh()
    const orphan = await put()
    assert.deepEqual((await search()).retired, [], 'its id is old, but it was never seen before')
    assert.deepEqual(await candidates(), [orphan])
    await age(orphan)
    assert.deepEqual((await search()).retired, [orphan])
    assert.deepEqual(await candidates(), [])
    const late = await metastore.commitSegment(makeSegment(orphan, [{ tenant: 'late', profiles: [1] }]))
    assert.equal(late.verdict, 'refused')
    const { tombstones } = await metastore.claimTombstones({ holder: 'w', limit: 10 })
    assert.deepEqual(
      tombstones.map(({ objectId }) => objectId),
      [orphan],
    )
    await store.delete(objectKey(orphan))
    await metastore.confirmDeleted({ holder: 'w', deleted: tombstones })
    assert.equal((await sql`select from tombstones where object_id = ${orphan}`).length, 0)
    const again = await metastore.commitSegment(makeSegment(orphan, [{ tenant: 'late', profiles: [1] }]))
    assert.equal(again.verdict, 'refused', 'also after the deletion')
  })

  test('a referenced object is never taken, nor one whose commit came in between (H18, H20)', async () => {
    const { metastore, sql } = await fresh()
    const [live, late, output] = [await put(), await put(), await put()]
    await metastore.commitSegment(makeSegment(live, [{ tenant: 'live', profiles: [10] }]))
    await search()
    assert.deepEqual(await candidates(), [late, output].sort())
    // A writer that was suspended for a day between PUT and commit; a worker whose commit is refused.
    await metastore.commitSegment(makeSegment(late, [{ tenant: 'live', profiles: [11] }]))
    await metastore.commitCompaction({
      workerId: 'w',
      jobId: '999',
      epoch: 1,
      outputs: [makeOutput(output, [{ profiles: [1] }])],
    })
    await Promise.all([late, output].map(age))
    assert.deepEqual((await search()).retired, [])
    assert.deepEqual(await candidates(), [])
    const rows = await sql<
      { id: string }[]
    >`select id from object_ids where retired_at is not null and id = any(${[live, late, output]}::text[])`
    assert.deepEqual(rows.length, 0)
  })

  test('an object with a journal entry is no orphan, also in quarantine; it holds up no other (H18, H20)', async () => {
    const { sql, metastore } = await fresh()
    const [journalled, quarantined, orphan] = [await put(), await put(), await put()]
    await store.put(journalKey(journalled), new Uint8Array(1))
    await store.put(`quarantine/${journalKey(quarantined)}`, new Uint8Array(0))
    await search()
    await Promise.all([journalled, quarantined, orphan].map(age))
    assert.deepEqual((await search()).retired, [orphan])
    assert.deepEqual(await candidates(), [journalled, quarantined].sort())
    const old = await sql`select from orphan_candidates where first_seen_at < now() - interval '1 hour'`
    assert.equal(old.length, 0, 'they are the last to be looked at again')
    const late = await metastore.commitSegment(makeSegment(journalled, [{ tenant: 'journal', profiles: [77] }]))
    assert.equal(late.verdict, 'committed')
    await store.delete(`quarantine/${journalKey(quarantined)}`)
    await age(quarantined)
    assert.deepEqual((await search()).retired, [quarantined], 'somebody has given it up')
  })

  test('of the search and a commit at the same moment one wins (H19)', async () => {
    const { metastore } = await fresh()
    const outcomes = new Set<string>()
    for (let round = 0; round < 12; round++) {
      const orphan = await put()
      await search()
      await age(orphan)
      const segment = makeSegment(orphan, [{ tenant: `race-${round}`, profiles: [100 + round] }])
      const [{ verdict }, { retired }] = await Promise.all([metastore.commitSegment(segment), search()])
      assert.equal(retired.includes(orphan), verdict === 'refused')
      const { objects } = await metastore.planQuery({
        tenants: [`race-${round}`],
        services: [],
        startMs: 0,
        endMs: 9e12,
      })
      assert.equal(objects.length, verdict === 'committed' ? 1 : 0)
      outcomes.add(verdict)
    }
    assert.ok(outcomes.size > 0)
  })

  test('young ids, ids of a writer with a wrong clock, foreign keys', async () => {
    await fresh()
    const [young, ahead] = [await put(MS_PER_HOUR), await put(-10 * MS_PER_DAY)]
    await store.put('objects/zz/notes.txt', new Uint8Array(1))
    await store.put('objects/loose', new Uint8Array(0))
    await search()
    assert.deepEqual(await candidates(), [young, ahead].sort())
    await Promise.all([young, ahead].map(age))
    // Seen 25 hours ago with an id that is one hour old: made after it was seen.
    assert.deepEqual([...(await search()).retired].sort(), [young, ahead].sort())
    assert.deepEqual(
      await store.list('objects/'),
      ['objects/loose', objectKey(young), objectKey(ahead), 'objects/zz/notes.txt'].sort(),
    )
  })

  test('a pass goes on where it was interrupted', async () => {
    const { sql } = await fresh()
    const ids: string[] = []
    for (let i = 0; i < 25; i++) ids.push(await put())
    // 20 slices of one key are a run.
    assert.equal((await search(1)).keys, 20)
    const [row] = await sql<{ cursor: string }[]>`select orphan_cursor as cursor from recovery_state`
    assert.match(row!.cursor, /^objects\//)
    assert.equal((await search(1)).keys, 5)
    assert.deepEqual(await candidates(), ids.sort())
  })

  test('without its lease, or with a database that is behind its bucket, nothing is retired', async () => {
    const { sql } = await fresh()
    const orphan = await put()
    await search()
    await age(orphan)
    const mine = term
    term = { ...mine, epoch: mine.epoch + 1 }
    assert.deepEqual((await search()).retired, [])
    term = mine
    await store.put(COUNTER_KEY, new TextEncoder().encode('{"version":1,"counter":1000000,"server":"","jobId":1}'))
    assert.deepEqual((await search()).retired, [])
    const [row] = await sql<{ reason: string }[]>`select behind_reason as reason from recovery_state`
    assert.match(row!.reason, /the bucket at 1000000/)
    assert.deepEqual(await candidates(), [orphan])
  })
})
