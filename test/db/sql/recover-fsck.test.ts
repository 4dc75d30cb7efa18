/** Mends of the check beside commits: what is written is what holds once the lock is there. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Sql, SqlSession } from '#db/client.ts'
import { buryObjects, recount } from '#db/sql/recover-fsck.ts'
import { raceForLocks } from '../../support/blocked-statement.ts'
import { type TestDatabase, withDatabase } from '../../support/postgres.ts'

let database: TestDatabase
let sql: Sql
before(async () => {
  database = await withDatabase()
  sql = database.sql
})
after(() => database.close())

async function insertObject(id: string, datasets: number, counted: number): Promise<void> {
  await sql`insert into object_ids (id) values (${id})`
  await sql`insert into objects (id, level, size_bytes, live_datasets) values (${id}, 1, 1000, ${counted})`
  await sql`
    insert into datasets (object_id, dataset_index, level, object_size_bytes, tenant, service, window_start_ms, window_ms,
      min_time_ms, max_time_ms, dataset_offset, size_bytes, head_bytes, profile_count, sample_count)
    select ${id}, n, 1, 1000, 't', 's', 0, 3600000, 0, 1, 8, 100, 10, 1, 1 from generate_series(1, ${datasets}::int) as n`
}

/** As the commit of a compaction does: objects first, and their datasets under that lock. */
async function retireOne(tx: SqlSession, id: string): Promise<void> {
  await tx`update objects set live_datasets = greatest(0, live_datasets - 1) where id = ${id}`
  await tx`update datasets set is_live = false where object_id = ${id} and dataset_index = 1`
}

async function countOf(id: string): Promise<number> {
  const [row] = await sql<{ live: number }[]>`select live_datasets as live from objects where id = ${id}`
  return row!.live
}

test('a wrong count is mended', async () => {
  await insertObject('wrong', 3, 7)
  await recount(sql, ['wrong'])
  assert.equal(await countOf('wrong'), 3)
})

test('a count that waits for a commit counts what the commit left', async () => {
  await insertObject('raced', 2, 5)
  await raceForLocks(
    sql,
    (tx) => retireOne(tx, 'raced'),
    () => recount(database.connect(), ['raced']),
  )
  assert.equal(await countOf('raced'), 1)
})

test('an object that gets a live dataset while it is to be buried is kept', async () => {
  await insertObject('alive', 1, 0)
  await sql`update datasets set is_live = false where object_id = 'alive'`
  await raceForLocks(
    sql,
    async (tx) => {
      await tx`update objects set live_datasets = 1 where id = 'alive'`
      await tx`update datasets set is_live = true where object_id = 'alive'`
    },
    () => buryObjects(database.connect(), ['alive']),
  )
  assert.equal((await sql`select from tombstones where object_id = 'alive'`).length, 0)
  await insertObject('dead', 0, 0)
  await buryObjects(sql, ['dead'])
  assert.equal((await sql`select from tombstones where object_id = 'dead'`).length, 1)
})
