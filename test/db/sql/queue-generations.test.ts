/** The queue turns: what is open moves to a new generation while it is claimed from, and no job is ever out of sight. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { createClock } from '#platform/clock.ts'
import type { Sql } from '#db/client.ts'
import { parkJob, retryJob } from '#db/sql/change-jobs.ts'
import { selectClaimCandidates } from '#db/sql/claim-candidates.ts'
import { acquireLease, type LeaseTerm } from '#db/sql/leases.ts'
import {
  beginTurn,
  countDeadEntries,
  finishTurn,
  moveJobs,
  newestGeneration,
  selectGenerations,
} from '#db/sql/queue-generations.ts'
import { releaseHolders, releaseJobs, releaseUnheard } from '#db/sql/release-jobs.ts'
import { JobClaims } from '../../../apps/metastore/job-claims.ts'
import { JobGenerations } from '../../../apps/metastore/job-generations.ts'
import { defaultSettings } from '../../../apps/metastore/settings.ts'
import { raceForLocks } from '../../support/blocked-statement.ts'
import { type TestDatabase, withDatabase } from '../../support/postgres.ts'
import { createSilentLog } from '../../support/silent-log.ts'

const TENANTS = 30
/** Made, taken and done in one round: three changes each. */
const JOBS_PER_ROUND = 32
const QUEUE = { ageingBytesPerSecond: 1, isSharded: false }

let database: TestDatabase
let sql: Sql
let term: LeaseTerm

before(async () => {
  database = await withDatabase()
  sql = database.connect({ maxConnections: 3 })
  term = (await acquireLease(sql, { name: 'planning', holder: 'h', epoch: undefined, ttlMs: 3_600_000 }))!
})
after(() => database.close())
beforeEach(async () => {
  await sql`delete from jobs`
  await finishTurn(sql, (await selectGenerations(sql)).newest)
})

const claimsOf = (pool = sql) => new JobClaims({ sql: pool, settings: defaultSettings('w') })
const generationsOf = (pool = sql) => new JobGenerations({ sql: pool, clock: createClock(), log: createSilentLog() })

/** As planning makes them. The rank grows with the id; half of them are of first compaction. */
async function makeJobs(count: number, pool: Sql = sql): Promise<void> {
  await pool`
    with generation as materialized (${newestGeneration(pool)})
    insert into jobs (state, level, size_bytes, rank, tenant, generation)
    select 'queued', case when n % 2 = 0 then 1 else 5 end, 1000000,
      coalesce((select max(rank) from jobs), 0) + n, case when n % 2 = 0 then '' else 't' || n % ${TENANTS}::int end, newest
    from generate_series(1, ${count}::int) as n, generation`
}

async function finishAll(pool: Sql = sql): Promise<void> {
  await pool`update jobs set state = 'done', holder = null, expires_at = null, finished_at = now() where state = 'running'`
}

/** Dead entries that a claim walks over after so many rounds under a snapshot taken before. */
async function deadAfter(rounds: number, between: () => Promise<unknown>): Promise<number> {
  const claims = claimsOf()
  return await beside(async () => {
    for (let round = 0; round < rounds; round++) {
      await makeJobs(JOBS_PER_ROUND)
      assert.equal((await claims.claim('w', JOBS_PER_ROUND)).length, JOBS_PER_ROUND)
      await finishAll()
      if (round % 10 === 9) await between()
    }
    return await sql.begin((tx) =>
      countDeadEntries(tx, () => selectClaimCandidates(tx, { jobsPerFlow: 2 * JOBS_PER_ROUND, cursors: new Map() })),
    )
  })
}

/** While a transaction holds a snapshot that was taken before. */
async function beside<T>(run: () => Promise<T>): Promise<T> {
  const [begun, ended] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const holding = database.connect({ maxConnections: 1 }).begin('isolation level repeatable read', async (tx) => {
    await tx`set local idle_in_transaction_session_timeout = 0`
    await tx`select count(*) from jobs`
    begun.resolve()
    await ended.promise
  })
  holding.catch((error: unknown) => begun.reject(error))
  await begun.promise
  try {
    return await run()
  } finally {
    ended.resolve()
    await holding
  }
}

test('thousands of job events beside an old transaction do not slow claims: the queue turns (H32)', async () => {
  await makeJobs(200)
  const still = await deadAfter(100, async () => undefined)
  await sql`delete from jobs`
  await sql`vacuum jobs`
  await makeJobs(200)
  const generations = generationsOf()
  const turning = await deadAfter(100, () => generations.pass(term))
  const { oldest, newest } = await selectGenerations(sql)
  assert.ok(newest >= 3, `${newest} generations`)
  assert.equal(oldest, newest)
  // 3,200 jobs were taken: without turns every claim walks over all of them, several times.
  assert.ok(still > 3_200, `${still} dead entries without turns`)
  // What may come together before a turn is due, and in the nine rounds until it is looked at.
  assert.ok(turning < 4_000 && turning < still / 3, `${turning} dead entries with turns, ${still} without`)
})

test('dead jobs behind more tenants than one probe looks at are found by the next', async () => {
  await sql`
    insert into jobs (state, level, size_bytes, rank, tenant)
    select 'queued', 5, 1, n, 'a' || lpad(n::text, 3, '0') from generate_series(1, 70) as n`
  const generations = generationsOf()
  const { newest } = await selectGenerations(sql)
  await beside(async () => {
    await sql`
      insert into jobs (state, level, size_bytes, rank, tenant)
      select 'queued', 5, 1, n, 'flood' from generate_series(1, 3000) as n`
    await sql`update jobs set state = 'done', finished_at = now() where tenant = 'flood'`
    for (let pass = 0; pass < 2; pass++) await generations.pass(term)
  })
  assert.equal((await selectGenerations(sql)).newest, newest + 1)
})

test('dead jobs of older programs, which no turn gets rid of, do not turn the queue for ever', async () => {
  await makeJobs(10)
  const generations = generationsOf()
  const { newest } = await selectGenerations(sql)
  await beside(async () => {
    await sql`
      insert into jobs (state, level, size_bytes, rank, tenant)
      select 'queued', 5, 1, n, 'flood' from generate_series(1, 3000) as n`
    await sql`update jobs set state = 'done', finished_at = now() where tenant = 'flood'`
    for (let pass = 0; pass < 5; pass++) await generations.pass(term)
  })
  assert.equal((await selectGenerations(sql)).newest, newest + 1)
})

test('without an old transaction the queue does not turn', async () => {
  await makeJobs(200)
  const before = await selectGenerations(sql)
  const claims = claimsOf()
  const generations = generationsOf()
  for (let round = 0; round < 40; round++) {
    await makeJobs(JOBS_PER_ROUND)
    await claims.claim('w', JOBS_PER_ROUND)
    await finishAll()
    await generations.pass(term)
  }
  assert.deepEqual(await selectGenerations(sql), before)
})

test('in the middle of a turn jobs of both generations are taken, each once, in their order', async () => {
  await makeJobs(100)
  const newest = (await beginTurn(sql, term))!
  assert.equal(await moveJobs(sql, newest, 10), 10)
  await makeJobs(100)
  const claims = claimsOf()
  const ids: string[] = []
  const firsts: number[] = []
  for (;;) {
    const jobs = await claims.claim('w', 7)
    if (jobs.length === 0) break
    ids.push(...jobs.map(({ jobId }) => jobId))
    firsts.push(...jobs.filter(({ level }) => level === 1).map(({ jobId }) => Number(jobId)))
  }
  assert.equal(new Set(ids).size, 200)
  assert.equal(ids.length, 200)
  assert.deepEqual(
    firsts,
    firsts.toSorted((a, b) => a - b),
  )
})

test('a turn takes over what is queued, runs or is parked, and jobs of older programs; a second one waits for it', async () => {
  await makeJobs(30)
  await sql`insert into jobs (state, level, size_bytes, rank) values ('queued', 1, 1, 0), ('parked', 1, 1, 0)`
  const [job] = await claimsOf().claim('w', 1)
  const newest = (await beginTurn(sql, term))!
  assert.equal(await beginTurn(sql, term), undefined)
  assert.equal(await finishTurn(sql, newest), false)
  while ((await moveJobs(sql, newest, 7)) > 0);
  assert.equal(await finishTurn(sql, newest), true)
  const rows = await sql<{ generation: number; n: number }[]>`select generation, count(*) as n from jobs group by 1`
  assert.deepEqual([...rows], [{ generation: newest, n: 32 }])
  assert.deepEqual(await selectGenerations(sql), { oldest: newest, newest, moved: 32 })
  // What was given out is still its worker's.
  assert.deepEqual(await releaseJobs(sql, [job!], { workerId: 'w' }), [job!.jobId])
})

test('who lost the lease begins no turn', async () => {
  assert.equal(await beginTurn(sql, { ...term, epoch: term.epoch - 1 }), undefined)
})

test('a job that is being made with the old number is waited for, and moved', async () => {
  const pool = database.connect({ maxConnections: 3 })
  const newest = await raceForLocks(
    pool,
    (tx) => makeJobs(1, tx as Sql),
    () => beginTurn(sql, term),
  )
  assert.equal(await finishTurn(sql, newest!), false)
  assert.equal(await moveJobs(sql, newest!, 10), 1)
  assert.equal(await finishTurn(sql, newest!), true)
  assert.equal((await claimsOf().claim('w', 10)).length, 1)
})

test('a job that is made while a turn begins gets the new number', async () => {
  const pool = database.connect({ maxConnections: 3 })
  await raceForLocks(
    pool,
    (tx) => beginTurn(tx, term),
    () => makeJobs(1),
  )
  const { newest } = await selectGenerations(sql)
  assert.equal(await moveJobs(sql, newest, 10), 0)
  assert.equal(await finishTurn(sql, newest), true)
  const [row] = await sql<{ generation: number }[]>`select generation from jobs`
  assert.equal(row!.generation, newest)
})

test('a job that somebody changes meanwhile is passed over, and the turn is not over before it is moved', async () => {
  await makeJobs(3)
  const [job] = await sql<{ id: string }[]>`select id::text from jobs limit 1`
  await parkJob(sql, job!.id, 'by hand')
  const newest = (await beginTurn(sql, term))!
  const pool = database.connect({ maxConnections: 3 })
  await pool.begin(async (tx) => {
    assert.equal(await retryJob(tx, job!.id, QUEUE), true)
    assert.equal(await moveJobs(sql, newest, 10), 2)
    assert.equal(await moveJobs(sql, newest, 10), 0)
    assert.equal(await finishTurn(sql, newest), false)
  })
  assert.equal((await claimsOf().claim('w', 10)).length, 3)
  assert.equal(await moveJobs(sql, newest, 10), 1)
  assert.equal(await finishTurn(sql, newest), true)
})

test('a turn that another replica left is finished', async () => {
  await makeJobs(20)
  const newest = (await beginTurn(sql, term))!
  await moveJobs(sql, newest, 1)
  assert.equal(await generationsOf().pass(term), false)
  const { oldest } = await selectGenerations(sql)
  assert.equal(oldest, newest)
})

for (const [what, release] of [
  ['of a dead worker', () => releaseHolders(sql, 'dead-')],
  ['of an answer that was not heard', () => releaseUnheard(sql, [], { workerId: 'dead-1' })],
] as const) {
  test(`a job ${what} is given back though a turn moves it meanwhile`, async () => {
    await makeJobs(2)
    const [job] = await claimsOf().claim('dead-1', 1)
    const released = await raceForLocks(
      sql,
      async (tx) => {
        const newest = await beginTurn(tx, term)
        assert.equal(await moveJobs(tx, newest!, 100), 2)
      },
      release,
    )
    assert.deepEqual(released, [job!.jobId])
  })
}
