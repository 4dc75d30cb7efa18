/** Expiry in batches: what goes, what stays, and how often a row is read. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { MS_PER_HOUR } from '#core/units.ts'
import type { Sql, SqlSession } from '#db/client.ts'
import { acquireLease, type LeaseTerm } from '#db/sql/leases.ts'
import { beforeSlice, type DatasetCursor, expireDatasets, hasExpired } from '#db/sql/retention-expire.ts'
import { type TestDatabase, withDatabase } from '../../support/postgres.ts'

const OBJECTS = 1_000
const PER_OBJECT = 3
const BATCH_ROWS = 100
const ALL = { fromMs: -1, toMs: 10_000 * MS_PER_HOUR }

let database: TestDatabase
let sql: Sql
let term: LeaseTerm
before(async () => {
  database = await withDatabase()
  sql = database.sql
  term = (await acquireLease(sql, { name: 'retention', holder: 'h', epoch: undefined, ttlMs: 3_600_000 }))!
  await sql`
    insert into objects (id, level, size_bytes, live_datasets)
    select 'o' || lpad(o::text, 4, '0'), 5, 1000, ${PER_OBJECT} from generate_series(0, ${OBJECTS - 1}::int) as o`
  // Hour by hour; of three services the last is kept for longer.
  await sql`
    insert into datasets (object_id, dataset_index, level, object_size_bytes, tenant, service, window_start_ms, window_ms,
      min_time_ms, max_time_ms, dataset_offset, size_bytes, head_bytes, profile_count, sample_count)
    select 'o' || lpad(o::text, 4, '0'), d, 5, 1000, 't', 's' || d % 3, o * ${MS_PER_HOUR}::bigint, ${MS_PER_HOUR}, 0,
      o * ${MS_PER_HOUR}::bigint + 1, 8, 10, 1, 1, 1
    from generate_series(0, ${OBJECTS - 1}::int) as o, generate_series(0, ${PER_OBJECT - 1}::int) as d`
  await sql.unsafe('analyze')
})
after(() => database.close())

/** By this connection, lately. */
async function rowsRead(tx: SqlSession): Promise<number> {
  const [row] = await tx<{ reads: number }[]>`
    select sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint as reads from pg_stat_xact_user_tables
    where relname like 'datasets%'`
  return row!.reads
}

/** A pass; returns what expired, in how many batches, and how many rows they read. */
async function pass(bounds: { tenant: string; service: string; boundMs: number }[], pageRows: number) {
  let next: DatasetCursor | undefined = beforeSlice(ALL)
  const total = { datasets: 0, objects: 0, batches: 0, reads: 0 }
  while (next !== undefined) {
    const from: DatasetCursor = next
    const batch = { term, bounds, batchRows: BATCH_ROWS, pageRows, deletionGraceMs: 0, after: from, toMs: ALL.toMs }
    const [expired, reads] = await sql.begin(async (tx) => {
      // As of a large table, which is not walked through for a page.
      await tx`set local enable_seqscan = off`
      const before = await rowsRead(tx)
      const done = await expireDatasets(tx, batch)
      return [done, (await rowsRead(tx)) - before] as const
    })
    total.datasets += expired.datasets
    total.objects += expired.objects
    total.reads += reads
    total.batches++
    next = expired.next
  }
  return total
}

test('a rule that became much shorter: each row is read a few times, not once a batch', async () => {
  const rule = [
    { tenant: '', service: '', boundMs: 500 * MS_PER_HOUR },
    { tenant: 't', service: 's2', boundMs: 0 },
  ]
  assert.equal(await hasExpired(sql, rule, ALL), true)
  const found = await pass([...rule, { tenant: 'x', service: '', boundMs: 0 }], BATCH_ROWS)
  assert.deepEqual([found.datasets, found.objects], [500 * 2, 0])
  assert.ok(found.batches >= 10)
  // 3,000 rows are there: found, locked and written.
  assert.ok(found.reads < 4 * OBJECTS * PER_OBJECT, `${found.reads} rows read in ${found.batches} batches`)
  assert.equal((await pass(rule, 20_000)).datasets, 0)
  assert.equal(await hasExpired(sql, rule, ALL), false)
  assert.equal(await hasExpired(sql, [{ tenant: '', service: '', boundMs: 600 * MS_PER_HOUR }], ALL), true)
})

test('the next rule takes the rest, objects go with their last dataset', async () => {
  const found = await pass([{ tenant: '', service: '', boundMs: 10_000 * MS_PER_HOUR }], 333)
  assert.deepEqual([found.datasets, found.objects], [OBJECTS * PER_OBJECT - 500 * 2, OBJECTS])
  const [left] = await sql<{ n: number }[]>`select count(*) as n from datasets where is_live`
  assert.equal(left!.n, 0)
})

test('without the lease nothing expires', async () => {
  await sql`update datasets set is_live = true`
  const lost = { ...term, epoch: term.epoch - 1 }
  const bounds = [{ tenant: '', service: '', boundMs: 10_000 * MS_PER_HOUR }]
  const batch = {
    term: lost,
    bounds,
    batchRows: 10,
    pageRows: 10,
    deletionGraceMs: 0,
    after: beforeSlice(ALL),
    toMs: ALL.toMs,
  }
  assert.deepEqual(await expireDatasets(sql, batch), { datasets: 0, bytes: 0, objects: 0, next: undefined })
})
