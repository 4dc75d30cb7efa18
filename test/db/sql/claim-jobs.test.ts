/** Claims from a long queue: what they touch, who gets what, and many at once. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { isInShard } from '#core/compaction/tenant-shards.ts'
import type { Sql } from '#db/client.ts'
import { selectClaimCandidates } from '#db/sql/claim-candidates.ts'
import { JobClaims } from '../../../apps/metastore/job-claims.ts'
import { defaultSettings, type MetastoreSettings } from '../../../apps/metastore/settings.ts'
import { withDatabase, type TestDatabase } from '../../support/postgres.ts'

const QUEUED = 100_000
let database: TestDatabase
/** One connection, so that its counters can be flushed; the generic plan, which knows least. */
let sql: Sql

before(async () => {
  database = await withDatabase()
  sql = database.connect({ maxConnections: 1 })
  await sql`set plan_cache_mode = force_generic_plan`
  // Half of it is one tenant's; 300 others on three levels; one in ten tenants waits for its backoff. 5,000 are done.
  await sql`
    insert into jobs (state, level, size_bytes, rank, tenant, tenants, not_before, tag, finished_at)
    select case when n < ${QUEUED} then 'queued' else 'done' end, 5 + n % 3, 1000000, n,
      case when n % 2 = 0 then 'flood' else 't' || lpad((n % 300)::text, 3, '0') end, '{}',
      now() + case when n % 10 = 3 then interval '1 hour' else interval '0 s' end,
      case when n >= ${QUEUED} then n end, case when n >= ${QUEUED} then now() end
    from generate_series(0, ${QUEUED} + 4999) as n`
  await sql`insert into jobs (state, level, size_bytes, rank) select 'queued', 1, 1000000, n from generate_series(1, 50) as n`
  await sql.unsafe('analyze')
})
after(() => database.close())

const claims = (policy: Partial<MetastoreSettings['jobPolicy']> = {}, pool = sql) => {
  const settings = defaultSettings('claims')
  return new JobClaims({ sql: pool, settings: { ...settings, jobPolicy: { ...settings.jobPolicy, ...policy } } })
}
const ownersOf = async (jobIds: readonly string[]) =>
  await sql<{ tenant: string; level: number }[]>`
    select tenant, level from jobs where id = any(${jobIds}::text[]::bigint[]) order by id`

/** Rows and index entries that a call reads, by the server's counters. */
async function readBy(run: () => Promise<unknown>): Promise<{ rows: number; entries: number }> {
  const counters = async () => {
    await sql`select pg_stat_force_next_flush()`
    await sql`select pg_stat_clear_snapshot()`
    const [row] = await sql<{ rows: number; entries: number }[]>`
      select seq_tup_read + idx_tup_fetch as rows, (
        select sum(idx_tup_read)::bigint from pg_stat_user_indexes i where i.relname = 'jobs') as entries
      from pg_stat_user_tables where relname = 'jobs'`
    return row!
  }
  const from = await counters()
  await run()
  const to = await counters()
  return { rows: to.rows - from.rows, entries: to.entries - from.entries }
}

test('a claim from 100,000 queued jobs reads a few thousand entries, not the queue', async () => {
  const taken: string[] = []
  const of = claims()
  const read = await readBy(async () => {
    const jobs = await of.claim('w', 10)
    taken.push(...jobs.map(({ jobId }) => jobId))
  })
  assert.equal(taken.length, 10)
  // 154 flows with two probes and two to three jobs each; 15 tenants have 84 jobs that are passed over.
  assert.ok(read.rows < 4_000, `${read.rows} rows`)
  assert.ok(read.entries < 6_000, `${read.entries} entries`)
})

test('the statement is a walk along the index of flows', async () => {
  const seen: string[] = []
  const explained = new Proxy(sql, {
    apply: (target, self, args: [TemplateStringsArray]) => {
      if (args[0].raw === undefined || !args[0].join('').includes('with recursive'))
        return Reflect.apply(target, self, args)
      const [head, ...rest] = args[0]
      const strings = Object.assign([`explain ${head}`, ...rest], { raw: args[0].raw })
      return Reflect.apply(target, self, [strings, ...args.slice(1)]).then((rows: { 'QUERY PLAN': string }[]) => {
        seen.push(...rows.map((row) => row['QUERY PLAN']))
        return []
      })
    },
  })
  await selectClaimCandidates(explained, { jobsPerFlow: 20, cursors: new Map() })
  const plan = seen.join('\n')
  assert.ok(!plan.includes('Seq Scan on jobs'), plan)
  assert.match(plan, /Index Only Scan using jobs_claimable/)
  assert.match(plan, /Index Scan using jobs_claimable on jobs q/)
  assert.match(plan, /Index Scan( Backward)? using jobs_by_tag/)
})

test('a flood of one tenant does not hold up the others, and with more tenants than a claim looks at all have turns', async () => {
  const of = claims()
  const counts = new Map<string, number>()
  for (let round = 0; round < 40; round++) {
    const jobs = await of.claim('w', 10)
    assert.equal(jobs.length, 10)
    for (const { tenant } of await ownersOf(jobs.map(({ jobId }) => jobId)))
      counts.set(tenant, (counts.get(tenant) ?? 0) + 1)
    // They end at once: the next claim finds nothing running.
    await sql`update jobs set state = 'done', holder = null, finished_at = now() where state = 'running'`
  }
  assert.ok((counts.get('flood') ?? 0) <= 40, `${counts.get('flood')} of 400 for the tenant with half of the queue`)
  assert.ok(counts.size >= 100, `${counts.size} tenants`)
  assert.ok(counts.get('')! >= 30, 'first compaction is not behind it')
})

test('ten workers at two replicas at once: each job is given out once, and nobody goes empty-handed', async () => {
  const pool = database.connect({ maxConnections: 10 })
  const replicas = [claims({}, pool), claims({}, pool)]
  const shares = await Promise.all(Array.from({ length: 10 }, (_, i) => replicas[i % 2]!.claim(`w${i}`, 8)))
  const ids = shares.flat().map(({ jobId }) => jobId)
  assert.equal(new Set(ids).size, ids.length)
  for (const share of shares) assert.ok(share.length >= 1)
  await sql`update jobs set state = 'done', holder = null, finished_at = now() where state = 'running'`
})

test('caps of a tenant and a level hold over claims at once of one replica', async () => {
  const pool = database.connect({ maxConnections: 10 })
  const of = claims({ runningPerTenantMax: 2, runningPerLevelMax: { 5: 7, 6: 0, 7: 0 } }, pool)
  await Promise.all(Array.from({ length: 8 }, (_, i) => of.claim(`w${i}`, 6)))
  const rows = await sql<{ tenant: string; level: number; n: number }[]>`
    select tenant, level, count(*) as n from jobs where state = 'running' group by tenant, level`
  assert.equal(
    rows.filter(({ level }) => level === 5).reduce((sum, { n }) => sum + n, 0),
    7,
  )
  assert.ok(rows.every(({ tenant, n }) => tenant === '' || n <= 2))
  assert.ok(rows.every(({ level }) => level === 1 || level === 5))
  await sql`update jobs set state = 'done', holder = null, finished_at = now() where state = 'running'`
})

test('with shards a tenant’s jobs go to its workers; when these are gone, to others', async () => {
  const report = (workerId: string, seconds: number) => sql`
    insert into workers (worker_id, address, version, threads, capacity, budget_bytes, used_bytes, running, expires_at)
    values (${workerId}, '', '', 1, 1, 0, 0, 0, now() + ${seconds} * interval '1 second')
    on conflict (worker_id) do update set expires_at = excluded.expires_at`
  for (const workerId of ['a', 'b', 'c', 'd']) await report(workerId, 60)
  const tenantsOf = async (workerId: string) => {
    const tenants = new Set<string>()
    const of = claims({ tenantShardSize: 1 })
    for (let round = 0; round < 6; round++) {
      const jobs = await of.claim(workerId, 32)
      for (const { tenant } of await ownersOf(jobs.map(({ jobId }) => jobId))) if (tenant !== '') tenants.add(tenant)
    }
    await sql`update jobs set state = 'done', holder = null, finished_at = now() where state = 'running'`
    return tenants
  }
  const [a, b] = [await tenantsOf('a'), await tenantsOf('b')]
  assert.ok(a.size > 10 && b.size > 10)
  assert.deepEqual(
    [...a].filter((tenant) => b.has(tenant)),
    [],
  )
  for (const workerId of ['a', 'c', 'd']) await report(workerId, -1)
  const after = await tenantsOf('b')
  assert.ok(
    [...after].some((tenant) => !b.has(tenant)),
    'the tenants of the gone are free for all',
  )
})

test('a worker finds a job of its shard, however many tenants of others come first', async () => {
  const own = await withDatabase()
  try {
    const pool = own.connect({ maxConnections: 1 })
    await pool`
      insert into jobs (state, level, size_bytes, rank, tenant)
      select 'queued', 5, 1000000, n, 't' || lpad(n::text, 3, '0') from generate_series(1, 200) as n`
    await pool`
      insert into workers (worker_id, address, version, threads, capacity, budget_bytes, used_bytes, running, expires_at)
      select 'w' || n, '', '', 1, 1, 1, 0, 0, now() + interval '1 hour' from generate_series(1, 30) as n`
    const shards = { workerIds: Array.from({ length: 30 }, (_, i) => `w${i + 1}`), size: 1 }
    const tenants = Array.from({ length: 200 }, (_, i) => `t${String(i + 1).padStart(3, '0')}`)
    const late = shards.workerIds.filter((id) => tenants.findIndex((tenant) => isInShard(tenant, id, shards)) >= 64)
    assert.ok(late.length > 0, 'somebody has no tenant among the first 64')
    for (const workerId of late) {
      if (!tenants.some((tenant) => isInShard(tenant, workerId, shards))) continue
      assert.equal((await claims({ tenantShardSize: 1 }, pool).claim(workerId, 1)).length, 1, workerId)
    }
  } finally {
    await own.close()
  }
})

test('levels take turns apart: what one gives out last does not decide where another begins', async () => {
  const own = await withDatabase()
  try {
    const pool = own.connect({ maxConnections: 1 })
    // More tenants than a claim looks at, and beside them one of another level that comes after all of them.
    await pool`
      insert into jobs (state, level, size_bytes, rank, tenant)
      select 'queued', 5, 1000000, n, 't' || lpad((n % 70)::text, 2, '0') from generate_series(0, 139) as n
      union all select 'queued', 6, 1000000, n, 'zz' from generate_series(1, 200) as n`
    const of = claims({ runningPerLevelMax: { 5: 1 } }, pool)
    for (let claim = 0; claim < 70; claim++) {
      assert.equal((await of.claim('w', 3)).length, 3)
      await pool`update jobs set state = 'done', holder = null, finished_at = now() where state = 'running'`
    }
    const served = await pool`select distinct tenant from jobs where level = 5 and state = 'done'`
    assert.equal(served.length, 70)
  } finally {
    await own.close()
  }
})

test('tenants whose jobs all wait after failures do not hold up those behind them', async () => {
  await sql`update jobs set state = 'done', finished_at = now() where state in ('queued', 'running')`
  await sql`
    insert into jobs (state, level, size_bytes, rank, tenant, not_before)
    select 'queued', 5, 1000000, n, 'a' || lpad(n::text, 3, '0'), now() + interval '1 hour'
    from generate_series(1, 100) as n`
  await sql`
    insert into jobs (state, level, size_bytes, rank, tenant) values ('queued', 5, 1000000, 1, 'b'), ('queued', 5, 1000000, 1, '')`
  const of = claims()
  assert.equal((await of.claim('w', 10)).length, 2)
})
