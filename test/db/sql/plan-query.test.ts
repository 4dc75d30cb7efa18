/** Plans of the hot reads on a seeded database: none of them walks through a table. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { MS_PER_DAY, MS_PER_HOUR } from '#core/units.ts'
import { datasetPartitions, ensurePartition, segmentPartitions } from '#db/partitions.ts'
import { selectPlan } from '#db/sql/plan-query.ts'
import { withDatabase, type TestDatabase } from '../../support/postgres.ts'

const DAY_MS = Date.UTC(2026, 2, 3)
const TENANTS = 50
let database: TestDatabase

before(async () => {
  database = await withDatabase()
  const { sql } = database
  for (const partition of datasetPartitions(
    [0, 1, 2].map((d) => DAY_MS - d * MS_PER_DAY),
    DAY_MS,
  )) {
    await ensurePartition(sql, partition)
  }
  for (const partition of segmentPartitions(Date.now())) await ensurePartition(sql, partition)
  // 3 days x 24 hours x 50 tenants x 4 services; every third row is retired.
  await sql`insert into datasets (object_id, dataset_index, level, object_size_bytes, is_live, tenant, service,
      window_start_ms, window_ms, min_time_ms, max_time_ms, dataset_offset, size_bytes, head_bytes, profile_count, sample_count)
    select 'o' || n, 0, 1, 1, n % 3 > 0, 't' || n % ${TENANTS}::int, 's' || n % 4, hour, ${MS_PER_HOUR}, hour + 1, hour + 60000, 1, 1, 1, 1, 1
    from generate_series(0, 14399) as n,
      lateral (select ${DAY_MS}::bigint + ${MS_PER_DAY} - (1 + n / 200) * ${MS_PER_HOUR}::bigint as hour) as at`
  // 6,000 segments that are compacted, 30 that wait.
  await sql`insert into segments
    select 'l' || n, now(), 1, ${DAY_MS}, ${DAY_MS}, case when n < 30 then B'1' else B'0' end, n < 30, array['t' || n % ${TENANTS}::int],
      array['s'], array[${DAY_MS}::bigint], array[${MS_PER_HOUR}::bigint], array[${DAY_MS}::bigint], array[${DAY_MS}::bigint],
      '{1}', '{1}', '{1}', '{1}', '{1}', '{}', '{}'
    from generate_series(0, 5999) as n`
  await sql`insert into jobs (state, level, size_bytes, rank, finished_at)
    select case when n < 20 then 'queued' else 'done' end, 1, 1, n, now() from generate_series(0, 4999) as n`
  await sql`insert into profile_ids (id) select decode(md5(n::text), 'hex') from generate_series(0, 4999) as n`
  await sql.unsafe('analyze')
})
after(() => database.close())

interface PlanNode {
  'Node Type': string
  'Relation Name'?: string
  Plans?: PlanNode[]
}

/** Tables that a plan reads from end to end, but for those with hardly a row in them. */
async function walkedTables(rows: readonly Record<string, unknown>[]): Promise<string[]> {
  const small = await database.sql<{ name: string }[]>`select relname as name from pg_class where reltuples < 100`
  const allowed = new Set(small.map((row) => row.name))
  const walked: string[] = []
  const visit = (node: PlanNode) => {
    if (node['Node Type'] === 'Seq Scan' && !allowed.has(node['Relation Name']!)) walked.push(node['Relation Name']!)
    node.Plans?.forEach(visit)
  }
  const explained = rows[0]!['QUERY PLAN']
  const plan = typeof explained === 'string' ? JSON.parse(explained) : explained
  visit((plan as { Plan: PlanNode }[])[0]!.Plan)
  return walked
}

for (const mode of ['force_custom_plan', 'force_generic_plan']) {
  test(`a query plan walks no table, ${mode}`, async () => {
    const pool = database.connect({ maxConnections: 1 })
    await pool.unsafe(`set plan_cache_mode = ${mode}`)
    const request = { tenants: ['t7'], services: ['s3'], startMs: DAY_MS, endMs: DAY_MS + MS_PER_HOUR }
    const explained = await selectPlan(pool, request, 'explain (format json)')
    assert.deepEqual(await walkedTables(explained as unknown as Record<string, unknown>[]), [])
    const rows = await selectPlan(pool, { ...request, services: [] })
    assert.deepEqual(
      rows.map((row) => row.tenant).filter((tenant) => tenant !== 't7'),
      [],
    )
    assert.ok(rows.some((row) => row.level === 0))
    assert.ok(rows.some((row) => row.level === 1))
  })
}

test('days outside the range are not even planned for', async () => {
  const request = {
    tenants: ['t7'],
    services: [],
    startMs: DAY_MS - 2 * MS_PER_DAY,
    endMs: DAY_MS - 2 * MS_PER_DAY + 1,
  }
  const explained = JSON.stringify(await selectPlan(database.sql, request, 'explain (format json)'))
  assert.ok(explained.includes('datasets_20260301'))
  assert.ok(!explained.includes('datasets_20260303'))
})

const statements: [string, string][] = [
  [
    'claim',
    `select id from jobs where state = 'queued' and not_before <= now() order by rank limit 10 for update skip locked`,
  ],
  ['expired leases', `select id from jobs where state = 'running' and expires_at <= now() order by id limit 500`],
  [
    'expired profile ids',
    `select id from profile_ids where created_at < now() - interval '1 hour' order by created_at limit 9`,
  ],
  [
    'waiting segments',
    `select object_id from segments s where is_live and not exists (select from job_sources js where js.object_id = s.object_id)`,
  ],
]
for (const [name, text] of statements) {
  test(`${name}: no table is walked`, async () => {
    assert.deepEqual(await walkedTables(await database.sql.unsafe(`explain (format json) ${text}`)), [])
  })
}

test('a statement without an index is found to walk', async () => {
  const rows = await database.sql.unsafe('explain (format json) select 1 from segments where size_bytes = 7')
  assert.equal((await walkedTables(rows)).length, 1)
})
