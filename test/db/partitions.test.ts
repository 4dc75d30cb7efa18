import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { MS_PER_DAY, MS_PER_HOUR } from '#core/units.ts'
import {
  datasetPartitions,
  deleteDefaultSegments,
  dropPartition,
  ensurePartition,
  listPartitions,
  sliceByPartition,
  segmentPartitions,
} from '#db/partitions.ts'
import { commitSegment } from '#db/sql/commit-segment.ts'
import { makeSegment } from '../support/metastore-requests.ts'
import { withDatabase, type TestDatabase } from '../support/postgres.ts'

let database: TestDatabase
before(async () => {
  database = await withDatabase()
})
after(() => database.close())

const NOW_MS = Date.UTC(2026, 0, 31, 23, 59)

test('segments: the range of now and the next, across months', () => {
  const [current, next] = segmentPartitions(NOW_MS)
  assert.deepEqual(current, {
    parent: 'segments',
    name: 'segments_2026013118',
    from: `'2026-01-31T18:00:00.000Z'`,
    to: `'2026-02-01T00:00:00.000Z'`,
  })
  assert.equal(next!.name, 'segments_2026020100')
})

test('datasets: one per day, bounded in age and lead', () => {
  const day = Date.UTC(2026, 0, 31)
  const starts = [day + MS_PER_HOUR, day, day - 1, day - 401 * MS_PER_DAY, day + 3 * MS_PER_DAY, -5 * MS_PER_DAY]
  assert.deepEqual(
    datasetPartitions(starts, NOW_MS).map((partition) => [partition.name, partition.from, partition.to]),
    [
      ['datasets_20260130', `'${day - MS_PER_DAY}'`, `'${day}'`],
      ['datasets_20260131', `'${day}'`, `'${day + MS_PER_DAY}'`],
    ],
  )
})

test('ten creators at once make one partition; rows arrive in it and the indexes exist there', async () => {
  const [partition] = segmentPartitions(Date.now())
  const made = await Promise.all(Array.from({ length: 10 }, () => ensurePartition(database.sql, partition!)))
  assert.ok(made.every(Boolean))
  await commitSegment(database.sql, makeSegment('a', [{ profiles: [1] }]), { deletionGraceMs: 0 })
  const [row] = await database.sql`select tableoid::regclass::text as name from segments where object_id = 'a'`
  assert.equal(row!.name, partition!.name)
  const indexes = await database.sql`select 1 from pg_indexes where tablename = ${partition!.name}`
  const ofParent = await database.sql`select 1 from pg_indexes where tablename = 'segments'`
  assert.equal(indexes.length, ofParent.length)
})

test('a range that the default partition already has rows of stays there', async () => {
  const day = Date.UTC(2026, 0, 31)
  await database.sql`insert into datasets (object_id, dataset_index, level, object_size_bytes, tenant, service,
    window_start_ms, window_ms, min_time_ms, max_time_ms, dataset_offset, size_bytes, head_bytes, profile_count, sample_count)
    values ('x', 0, 1, 1, 't', 's', ${day}, 1, 1, 1, 1, 1, 1, 1, 1)`
  const [partition] = datasetPartitions([day], NOW_MS)
  assert.equal(await ensurePartition(database.sql, partition!), false)
  const [other] = datasetPartitions([day - 1], NOW_MS)
  assert.equal(await ensurePartition(database.sql, other!), true)
})

test('partitions are listed with the range that their names tell, the default one is not', async () => {
  const { sql } = database
  const [partition] = segmentPartitions(NOW_MS)
  await ensurePartition(sql, partition!)
  const listed = (await listPartitions(sql, 'segments')).find(({ name }) => name === partition!.name)
  const from = Date.UTC(2026, 0, 31, 18)
  assert.deepEqual(listed, { parent: 'segments', name: partition!.name, fromMs: from, toMs: from + 6 * MS_PER_HOUR })
  assert.ok((await listPartitions(sql, 'segments')).every(({ name }) => name !== 'segments_default'))
})

test('a partition is dropped only when nothing in it is live, and its space is free (H31)', async () => {
  const { sql } = database
  const partition = segmentPartitions(Date.now())[0]!
  await ensurePartition(sql, partition)
  await commitSegment(sql, makeSegment('live', [{ profiles: [77] }]), { deletionGraceMs: 0 })
  const known = (await listPartitions(sql, 'segments')).find(({ name }) => name === partition.name)!
  assert.equal(await dropPartition(sql, known), false)
  await sql`update segments set live = live # live, is_live = false where object_id in ('live', 'a')`
  const [before] = await sql<{ bytes: number }[]>`select pg_total_relation_size(${known.name}::regclass)::int as bytes`
  assert.ok(before!.bytes > 0)
  assert.equal(await dropPartition(sql, known), true)
  assert.equal((await sql`select to_regclass(${known.name}) as name`)[0]!.name, null)
})

test('a partition that somebody reads for long is left for the next pass, and readers go on meanwhile', async () => {
  const { sql } = database
  const [partition] = segmentPartitions(NOW_MS + MS_PER_DAY)
  await ensurePartition(sql, partition!)
  const known = (await listPartitions(sql, 'segments')).find(({ name }) => name === partition!.name)!
  await sql.begin(async (tx) => {
    await tx`select 1 from segments limit 1`
    assert.equal(await dropPartition(database.connect(), known), false)
    assert.equal((await sql`select 1 from segments limit 0`).length, 0)
  })
  assert.equal(await dropPartition(sql, known), true)
})

test('retired rows of the default partition are deleted by age', async () => {
  const { sql } = database
  const ages = ['3 hours', '3 hours', '1 minute']
  for (const [i, age] of ages.entries()) {
    await commitSegment(sql, makeSegment(`default${i}`, [{ profiles: [900 + i] }]), { deletionGraceMs: 0 })
    await sql`update segments set created_at = now() - ${age}::text::interval,
      live = case when ${i} = 1 then live else live # live end, is_live = ${i} = 1 where object_id = ${`default${i}`}`
  }
  const beforeMs = Date.now() - MS_PER_HOUR
  assert.equal(await deleteDefaultSegments(sql, beforeMs, 10), 1)
  const left = await sql<
    { id: string }[]
  >`select object_id as id from segments where object_id like 'default%' order by 1`
  assert.deepEqual(
    left.map(({ id }) => id),
    ['default1', 'default2'],
  )
})

test('time is sliced by partitions, with what lies before, between and behind them', () => {
  const first = Number.MIN_SAFE_INTEGER
  const at = (fromMs: number, toMs: number) => ({ fromMs, toMs })
  assert.deepEqual(sliceByPartition([], 5), [at(first, 5)])
  const known = [at(10, 20), at(20, 30), at(50, 60)]
  assert.deepEqual(sliceByPartition(known, 5), [at(first, 5)])
  assert.deepEqual(sliceByPartition(known, 15), [at(first, 10), at(10, 15)])
  assert.deepEqual(sliceByPartition(known, 100), [
    at(first, 10),
    at(10, 20),
    at(20, 30),
    at(30, 50),
    at(50, 60),
    at(60, 100),
  ])
})
