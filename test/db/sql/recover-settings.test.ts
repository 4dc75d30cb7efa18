/** The dump of settings: any number of rows in parts of a bounded size, and back. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { dumpSettings, restoreSettingRows } from '#db/sql/recover-settings.ts'
import { type TestDatabase, withDatabase } from '../../support/postgres.ts'

const OBJECTS = 12_000
let from: TestDatabase
let to: TestDatabase
before(async () => {
  from = await withDatabase()
  to = await withDatabase()
  await from.sql`
    insert into tenant_deletions (tenant, state, dead_below, previous_live_from, remove_at)
    values ('t', 'hidden', 2, 1, now())`
  await from.sql`
    insert into tenant_deletion_objects (deletion_id, object_id, size_bytes, is_shared)
    select id, 'o' || n, n, false from tenant_deletions, generate_series(1, ${OBJECTS}::int) as n`
})
after(async () => {
  await from.close()
  await to.close()
})

test('a deletion of many objects is dumped in parts, and comes back whole', async () => {
  const dumped = await dumpSettings(from.sql)
  const parts = dumped.filter(({ table }) => table === 'tenant_deletion_objects')
  assert.ok(parts.length >= 3)
  assert.ok(parts.every(({ rows }) => rows.length <= 5_000))
  assert.equal(
    parts.reduce((sum, { rows }) => sum + rows.length, 0),
    OBJECTS,
  )
  // Through the bucket.
  const read = JSON.parse(JSON.stringify(dumped)) as typeof dumped
  const counts = await to.sql.begin((tx) => restoreSettingRows(tx, read))
  assert.deepEqual(
    counts.filter(({ restored }) => restored > 0),
    [
      { table: 'tenant_deletions', restored: 1, dumped: 1 },
      { table: 'tenant_deletion_objects', restored: OBJECTS, dumped: OBJECTS },
    ],
  )
  const [row] = await to.sql<{ sum: number }[]>`select sum(size_bytes)::bigint as sum from tenant_deletion_objects`
  assert.equal(row!.sum, (OBJECTS * (OBJECTS + 1)) / 2)
})
