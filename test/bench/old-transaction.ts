/**
 * Claims beside a transaction that holds an old snapshot: jobs are made, taken and done while it is open, and each claim is
 * timed. With JOB_EVENTS=480000 it is ten minutes of 800 events a second.
 *
 * The database is without fsync. Rounds follow each other without a pause, so that the planner's second between two looks
 * is worth many more events here than in production.
 */
import type { Sql } from '#db/client.ts'
import { acquireLease } from '#db/sql/leases.ts'
import { newestGeneration, selectGenerations } from '#db/sql/queue-generations.ts'
import { createClock } from '#platform/clock.ts'
import { JobClaims } from '../../apps/metastore/job-claims.ts'
import { JobGenerations } from '../../apps/metastore/job-generations.ts'
import { defaultSettings } from '../../apps/metastore/settings.ts'
import { createSilentLog } from '../support/silent-log.ts'
import { withBenchDatabase } from './database.ts'
import type { BenchCase, Figure } from './figure.ts'

const EVENTS_DEFAULT = 48_000
/** Waiting all the while. */
const QUEUED = 2_000
const JOBS_PER_ROUND = 32
/** Made, taken, done. */
const EVENTS_PER_JOB = 3

export const oldTransactionCase: BenchCase = {
  name: 'old-transaction',
  about: 'claims beside a transaction that holds an old snapshot',
  optional: true,
  run: () =>
    withBenchDatabase(async ({ sql, connect }) => {
      await makeJobs(sql, QUEUED)
      await sql.unsafe('analyze jobs')
      return await measure(sql, connect({ maxConnections: 1 }))
    }),
}

async function measure(sql: Sql, other: Sql): Promise<Figure[]> {
  const rounds = Math.ceil(Number(process.env.JOB_EVENTS ?? EVENTS_DEFAULT) / (JOBS_PER_ROUND * EVENTS_PER_JOB))
  const claims = new JobClaims({ sql, settings: defaultSettings('bench') })
  const generations = new JobGenerations({ sql, clock: createClock(), log: createSilentLog() })
  const lease = { name: 'planning', holder: 'bench', epoch: undefined, ttlMs: 86_400_000 }
  const term = (await acquireLease(sql, lease))!
  const timesMs: number[] = []
  const begun = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<void>()
  const holding = other.begin('isolation level repeatable read', async (tx) => {
    await tx`set local idle_in_transaction_session_timeout = 0`
    await tx`select count(*) from jobs`
    begun.resolve()
    await ended.promise
  })
  await begun.promise
  for (let round = 0; round < rounds; round++) {
    await makeJobs(sql, JOBS_PER_ROUND)
    await generations.tick(term)
    const startedMs = performance.now()
    const jobs = await claims.claim('bench', JOBS_PER_ROUND)
    timesMs.push(performance.now() - startedMs)
    if (jobs.length !== JOBS_PER_ROUND) throw new Error(`${jobs.length} jobs of ${JOBS_PER_ROUND}`)
    await sql`
      update jobs set state = 'done', holder = null, expires_at = null, finished_at = now() where state = 'running'`
  }
  ended.resolve()
  await holding
  const tenth = Math.ceil(timesMs.length / 10)
  return [
    ...percentiles('claim, first tenth', timesMs.slice(0, tenth)),
    ...percentiles('claim, last tenth', timesMs.slice(-tenth)),
    { what: 'turns of the queue', value: (await selectGenerations(sql)).newest - 1, unit: 'turns' },
  ]
}

function percentiles(what: string, timesMs: number[]): Figure[] {
  const sorted = timesMs.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!
  return [
    { what: `${what}, p50`, value: at(0.5), unit: 'ms' },
    { what: `${what}, p99`, value: at(0.99), unit: 'ms' },
  ]
}

/** A third of first compaction, the rest of 40 tenants on two levels; small and large ones mixed. */
async function makeJobs(sql: Sql, count: number): Promise<void> {
  await sql`
    with generation as materialized (${newestGeneration(sql)})
    insert into jobs (state, level, size_bytes, rank, tenant, generation)
    select 'queued', case when n % 3 = 0 then 1 else 5 + n % 2 end, 1000000,
      extract(epoch from now()) + (n * 7 % 50) / 10.0, case when n % 3 = 0 then '' else 't' || n % 40 end, newest
    from generate_series(1, ${count}::int) as n, generation`
}
