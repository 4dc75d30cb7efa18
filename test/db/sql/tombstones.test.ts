/** The queue of deletions: refusals wait, shares do not overlap, and a queue of many is worked off in slices. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import type { Sql } from '#db/client.ts'
import { claimTombstones, confirmDeleted, deferTombstones } from '#db/sql/tombstones.ts'
import { withDatabase, type TestDatabase } from '../../support/postgres.ts'

let database: TestDatabase
let sql: Sql
before(async () => {
  database = await withDatabase()
  sql = database.sql
})
after(() => database.close())
beforeEach(() => sql`truncate tombstones, objects`)

async function seed(count: number): Promise<void> {
  await sql`insert into objects (id, level, size_bytes, live_datasets)
    select 'o' || lpad(n::text, 6, '0'), 1, 1, 0 from generate_series(1, ${count}::int) as n`
  await sql`insert into tombstones (object_id, due_at) select id, now() - interval '1 second' from objects`
}

const claim = (holder: string, limit = 100) => claimTombstones(sql, { holder, limit, leaseMs: 15_000 })

test('a refusal waits a minute, then two, up to an hour, with its reason; others are not held up (H24)', async () => {
  await seed(3)
  const waits: number[] = []
  for (let attempt = 0; attempt < 9; attempt++) {
    const [first, ...others] = await claim('w')
    assert.equal(first!.objectId, 'o000001')
    if (attempt === 0) assert.equal(await confirmDeleted(sql, { holder: 'w', deleted: others }), 2)
    assert.equal(await deferTombstones(sql, { holder: 'w', refused: [{ ...first!, reason: 'access denied' }] }), 1)
    assert.deepEqual(await claim('w'), [], 'not due')
    const [row] = await sql<{ wait: number; failures: number; reason: string }[]>`
      select round(extract(epoch from due_at - now()) / 60)::int as wait, failures, reason from tombstones`
    assert.deepEqual([row!.failures, row!.reason], [attempt + 1, 'access denied'])
    waits.push(row!.wait)
    await sql`update tombstones set due_at = now()`
  }
  assert.deepEqual(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60])
})

test('only the exact claim defers', async () => {
  await seed(1)
  const [held] = await claim('w')
  const refused = (epoch: number) => [{ ...held!, epoch, reason: 'no' }]
  assert.equal(await deferTombstones(sql, { holder: 'other', refused: refused(held!.epoch) }), 0)
  assert.equal(await deferTombstones(sql, { holder: 'w', refused: refused(held!.epoch + 1) }), 0)
  assert.equal(await deferTombstones(sql, { holder: 'w', refused: [] }), 0)
  assert.equal(await confirmDeleted(sql, { holder: 'w', deleted: [held!] }), 1)
})

test('50,000 objects: workers share them without meeting, a crash costs one slice, all go (H66)', async () => {
  await seed(50_000)
  const seen = new Set<string>()
  // A slice that its worker dies with.
  const lost = await claim('dead', 1_000)
  assert.equal(lost.length, 1_000)
  const work = async (holder: string) => {
    for (;;) {
      const slice = await claim(holder, 1_000)
      if (slice.length === 0) return
      for (const { objectId } of slice) {
        assert.ok(!seen.has(objectId), `${objectId} twice`)
        seen.add(objectId)
      }
      assert.equal(await confirmDeleted(sql, { holder, deleted: slice }), slice.length)
    }
  }
  await Promise.all(['a', 'b', 'c'].map(work))
  assert.equal(seen.size, 49_000)
  await sql`update tombstones set expires_at = now() - interval '1 second'`
  await work('d')
  assert.equal(seen.size, 50_000)
  assert.equal(await confirmDeleted(sql, { holder: 'dead', deleted: lost }), 0, 'too late')
  assert.equal((await sql`select 1 from tombstones limit 1`).length, 0)
})

test('the retired rows of an object go when it is gone, not before', async () => {
  await seed(2)
  await sql`insert into datasets (object_id, dataset_index, level, object_size_bytes, is_live, tenant, service,
      window_start_ms, window_ms, min_time_ms, max_time_ms, dataset_offset, size_bytes, head_bytes, profile_count, sample_count)
    select id, n, 1, 1, false, 't', 's', 0, 1, 0, 0, 0, 1, 1, 1, 1 from objects, generate_series(0, 2) as n`
  const [first] = await claim('w', 1)
  const rows = async () =>
    (await sql<{ id: string }[]>`select distinct object_id as id from datasets`).map(({ id }) => id)
  assert.equal((await rows()).length, 2)
  await confirmDeleted(sql, { holder: 'w', deleted: [first!] })
  assert.deepEqual(await rows(), ['o000002'])
})
