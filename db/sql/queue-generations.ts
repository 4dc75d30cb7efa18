/**
 * Generations of the queue, so that claims cost the same beside a transaction that runs for minutes.
 *
 * What a claim has taken stays in the index of the queue until no snapshot can see it: under one old snapshot every claim
 * would walk over all that was claimed since. The generation is the first column of these indexes:
 * 1. `beginTurn` raises the newest generation. From its commit on new jobs are of that one: who makes a job reads it under
 *    a share lock, so that one made with the number before is committed by then.
 * 2. `moveJobs` takes the open jobs over in batches. Both generations are looked at meanwhile, and nobody waits: rows that
 *    somebody has locked are passed over and come with a later batch.
 * 3. `finishTurn` raises the oldest generation when it sees none open below the newest. It misses none: a job below is
 *    either seen, as it stays open until a commit closes it, or would have to be made with a number that is given out no
 *    more. Dead entries of the generations below are never walked over again.
 *
 * A turn may be done by any replica, by two at once, and be left at any point.
 */
import type { SqlSession } from '../client.ts'
import { heldLease } from './lease-held.ts'
import type { LeaseTerm } from './leases.ts'

export interface QueueGenerations {
  readonly oldest: number
  readonly newest: number
  /** Jobs that the last turn moved. */
  readonly moved: number
}

/**
 * An array: what a reader of the queue has to look at. A turn begins only where one has ended, so there are two at most, and 0
 * for jobs of a program that knows none. No series: the planner takes one for a thousand rows, and the whole claim for large.
 */
export function liveGenerations(sql: SqlSession) {
  return sql`array(
    select 0::bigint union select oldest from queue_generations where id = 1
    union select newest from queue_generations where id = 1)`
}

/** The query of a CTE with one row, for a statement that makes jobs. */
export function newestGeneration(sql: SqlSession) {
  return sql`select newest from queue_generations where id = 1 for share`
}

export async function selectGenerations(sql: SqlSession): Promise<QueueGenerations> {
  const [row] = await sql<QueueGenerations[]>`select oldest, newest, moved from queue_generations`
  return row!
}

/** The new generation; undefined if a turn is under way or the lease has moved. */
export async function beginTurn(sql: SqlSession, term: LeaseTerm): Promise<number | undefined> {
  const rows = await sql<{ newest: number }[]>`
    with lease as materialized (${heldLease(sql, term)})
    update queue_generations set newest = newest + 1, moved = 0 from lease
    where id = 1 and oldest = newest returning newest`
  return rows[0]?.newest
}

/** At most three times as many. Returns how many were moved. */
export async function moveJobs(sql: SqlSession, newest: number, batchRows: number): Promise<number> {
  const [row] = await sql<{ moved: number }[]>`
    with queued as materialized (
      select id from jobs where state = 'queued' and generation < ${newest}
      order by generation, level, tenant, rank limit ${batchRows} for update skip locked
    ), running as materialized (
      select id from jobs where state = 'running' and generation < ${newest}
      order by generation, expires_at limit ${batchRows} for update skip locked
    ), parked as materialized (
      select id from jobs where state = 'parked' and generation < ${newest}
      order by id limit ${batchRows} for update skip locked
    ), turned as (
      update jobs j set generation = ${newest}
      from (select id from queued union all select id from running union all select id from parked) as m
      where j.id = m.id returning j.id
    ), noted as (
      update queue_generations set moved = moved + (select count(*) from turned)
      where newest = ${newest} and exists (select from turned)
    )
    select count(*) as moved from turned`
  return row!.moved
}

/** False: something is open below it still, or somebody has begun another turn. */
export async function finishTurn(sql: SqlSession, newest: number): Promise<boolean> {
  const result = await sql`
    update queue_generations set oldest = newest
    where id = 1 and newest = ${newest} and oldest < newest
      and not exists (select from jobs where state = 'queued' and generation < ${newest})
      and not exists (select from jobs where state = 'running' and generation < ${newest})
      and not exists (select from jobs where state = 'parked' and generation < ${newest})`
  return result.count === 1
}

/**
 * Index entries of jobs that `run` walks over for nothing: read, and the row behind them is dead. Entries that Postgres
 * knows to be dead for everybody are not among them. Within one transaction, whose counters are its own.
 */
export async function countDeadEntries(tx: SqlSession, run: (tx: SqlSession) => Promise<unknown>): Promise<number> {
  const before = await selectWasted(tx)
  await run(tx)
  return Math.max(0, (await selectWasted(tx)) - before)
}

async function selectWasted(tx: SqlSession): Promise<number> {
  const [row] = await tx<{ wasted: number }[]>`
    select (sum(pg_stat_get_xact_tuples_returned(i.indexrelid) - pg_stat_get_xact_tuples_fetched(i.indexrelid))
      - pg_stat_get_xact_tuples_fetched('jobs'::regclass))::bigint as wasted
    from pg_index i where i.indrelid = 'jobs'::regclass`
  return row!.wasted
}
