/** Plans of the hot reads on a seeded database: none of them walks through a table. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { MS_PER_DAY, MS_PER_HOUR } from '#core/units.ts'
import { selectPlan } from '#db/sql/plan-query.ts'
import { groupBySource } from '#db/sql/source-rows.ts'
import { withDatabase, type TestDatabase } from '../../support/postgres.ts'
import { SEEDED_DAY_MS, seedMetastore } from '../../support/seeded-metastore.ts'

const DAY_MS = SEEDED_DAY_MS
let database: TestDatabase

before(async () => {
  database = await withDatabase()
  await seedMetastore(database.sql)
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
    const levels = new Set(groupBySource(rows).map(({ level }) => level))
    assert.deepEqual([...levels].sort(), [0, 1])
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

test('a whole tenant is planned with its values each time, one service once for all', async () => {
  const pool = database.connect({ maxConnections: 1 })
  const request = { tenants: ['t7'], startMs: DAY_MS, endMs: DAY_MS + MS_PER_HOUR }
  const prepared = async () =>
    (await pool`select from pg_prepared_statements where statement like ${'%from segments s cross join lateral%'}`)
      .length
  for (let call = 0; call < 3; call++) assert.ok((await selectPlan(pool, { ...request, services: [] })).length > 0)
  for await (const rows of selectPlan(pool, { ...request, services: [] }).cursor(10)) assert.ok(rows.length > 0)
  assert.equal(await prepared(), 0)
  await selectPlan(pool, { ...request, services: ['s3'] })
  assert.equal(await prepared(), 1)
})
