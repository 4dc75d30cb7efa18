/**
 * Running jobs go back to the queue at once, because their worker says that it stops, or is known to be dead. It is
 * nobody's failure: none is counted, there is no backoff, and the rank stays, so they are the next to be taken.
 * The epoch stays too: the next assignment raises it, and what the old holder still sends is refused by its state.
 *
 * Jobs of a name are found by their generation and then locked by their ids: one that a turn of the queue has moved since
 * the snapshot would not be of a generation that the snapshot knows.
 */
import type { SqlSession } from '../client.ts'
import { JOBS_CHANNEL } from './insert-jobs.ts'
import { liveGenerations } from './queue-generations.ts'
import type { JobTerm } from './renew-jobs.ts'

/** Three failures park a job: more assignments than those and some releases and lost answers take. */
const UNHEARD_EPOCHS_MAX = 16

/** Exact terms of one worker; any other is passed over. Returns the ids of the jobs it changed. */
export async function releaseJobs(
  sql: SqlSession,
  released: readonly JobTerm[],
  options: { readonly workerId: string },
): Promise<string[]> {
  if (released.length === 0) return []
  const rows = await sql<{ id: number }[]>`
    with held as materialized (
      select j.id from unnest(${released.map((job) => job.jobId)}::text[], ${released.map((job) => job.epoch)}::bigint[])
        as r(id, epoch)
      join jobs j on j.id = r.id::bigint
      where j.state = 'running' and j.epoch = r.epoch and j.holder = ${options.workerId}
      order by j.id for update of j
    ), ${queuedAgain(sql)}
    select id, pg_notify(${JOBS_CHANNEL}, '') from queued`
  return rows.map((row) => String(row.id))
}

/**
 * What the worker was given in an answer that it never got: running jobs of its name that are none of `held`. After many
 * assignments a job is left to its lease, which counts: an answer that no worker can read must end, too.
 */
export async function releaseUnheard(
  sql: SqlSession,
  held: readonly JobTerm[],
  options: { readonly workerId: string },
): Promise<string[]> {
  const rows = await sql<{ id: number }[]>`
    with found as materialized (
      select j.id, j.epoch from jobs j
      where j.state = 'running' and j.generation = any(${liveGenerations(sql)}) and j.holder = ${options.workerId}
        and j.epoch < ${UNHEARD_EPOCHS_MAX} and not exists (
          select from unnest(${held.map((job) => job.jobId)}::text[], ${held.map((job) => job.epoch)}::bigint[])
            as h(id, epoch)
          where h.id::bigint = j.id and h.epoch = j.epoch
        )
    ), held as materialized (
      select j.id from found f join jobs j on j.id = f.id
      where j.state = 'running' and j.holder = ${options.workerId} and j.epoch = f.epoch
      order by j.id for update of j
    ), ${queuedAgain(sql)}
    select id, pg_notify(${JOBS_CHANNEL}, '') from queued`
  return rows.map((row) => String(row.id))
}

/** All jobs of the holders whose names begin so. A dead process had as many as its capacity: a few. */
export async function releaseHolders(sql: SqlSession, holderPrefix: string): Promise<string[]> {
  const rows = await sql<{ id: number }[]>`
    with found as materialized (
      select id from jobs where state = 'running' and generation = any(${liveGenerations(sql)})
        and starts_with(holder, ${holderPrefix})
    ), held as materialized (
      select j.id from found f join jobs j on j.id = f.id
      where j.state = 'running' and starts_with(j.holder, ${holderPrefix}) order by j.id for update of j
    ), ${queuedAgain(sql)}
    select id, pg_notify(${JOBS_CHANNEL}, '') from queued`
  return rows.map((row) => String(row.id))
}

function queuedAgain(sql: SqlSession) {
  return sql`queued as (
    update jobs j set state = 'queued', holder = null, expires_at = null, started_at = null, progress = 0
    from held where j.id = held.id returning j.id
  )`
}
