/**
 * How far this database is, and whether it was found to be behind its bucket (core/recovery/commit-counter.ts judges).
 *
 * `markBehind` also puts every token above all that the lost future can have given out: job ids, epochs of jobs, leases,
 * tombstones and writers. A worker of that future then commits nothing here.
 */
import { TOKEN_GAP } from '#core/recovery/commit-counter.ts'
import type { SqlSession } from '../client.ts'

/** Who compares and writes the counter. Any constant that no other advisory lock of the database has. */
const COUNTER_LOCK = 7_210_332

export interface CounterStanding {
  readonly counter: number
  readonly server: string
  readonly isEmpty: boolean
  readonly jobId: number
  readonly behindSinceMs: number | undefined
  readonly behindReason: string | undefined
}

/** For the length of the transaction. False: another replica is at it. */
export async function tryCounterLock(sql: SqlSession): Promise<boolean> {
  const [row] = await sql<{ held: boolean }[]>`select pg_try_advisory_xact_lock(${COUNTER_LOCK}::bigint) as held`
  return row!.held
}

/** The same for who must not be passed over: waits for its end. */
export async function waitForCounterLock(sql: SqlSession): Promise<void> {
  await sql`select pg_advisory_xact_lock(${COUNTER_LOCK}::bigint)`
}

export async function readStanding(sql: SqlSession): Promise<CounterStanding> {
  const [row] = await sql<
    { counter: number; server: string; jobs: number; is_empty: boolean; since: number | null; reason: string | null }[]
  >`
    select s.counter, s.server, (select last_value from jobs_id_seq) as jobs,
      not exists (select from objects) as is_empty,
      (extract(epoch from s.behind_since) * 1000)::float8 as since, s.behind_reason as reason
    from recovery_state s`
  return {
    counter: row!.counter,
    server: row!.server,
    isEmpty: row!.is_empty,
    jobId: row!.jobs,
    behindSinceMs: row!.since ?? undefined,
    behindReason: row!.reason ?? undefined,
  }
}

/** Cluster and timeline; empty where the role may not ask. A restore to a point in time begins another timeline. */
export async function readServer(sql: SqlSession): Promise<string> {
  try {
    const [row] = await sql<{ server: string }[]>`
      select (select system_identifier::text from pg_control_system()) || '/'
        || left(pg_walfile_name(pg_current_wal_lsn()), 8) as server`
    return row?.server ?? ''
  } catch (error) {
    // 42501: the role may not; everything else is a fault of the database, and the caller's to judge.
    if ((error as { code?: unknown }).code === '42501') return ''
    throw error
  }
}

/** Returns the new counter. Never below `floor`. */
export async function advanceCounter(sql: SqlSession, server: string, floor = 0): Promise<number> {
  const [row] = await sql<{ counter: number }[]>`
    update recovery_state set counter = greatest(counter, ${floor}::bigint) + 1, server = ${server} returning counter`
  return row!.counter
}

/** False: it was known already, and nothing changes. */
export async function markBehind(sql: SqlSession, reason: string, jobId: number): Promise<boolean> {
  const rows = await sql`
    with marked as (
      update recovery_state set behind_since = now(), behind_reason = ${reason} where behind_since is null returning id
    ), job as (
      update jobs j set epoch = j.epoch + ${TOKEN_GAP}, holder = null, expires_at = null,
        state = case j.state when 'running' then 'queued' else j.state end
      from marked where j.state in ('queued', 'running', 'parked')
    ), lease as (
      update leases l set epoch = l.epoch + ${TOKEN_GAP}, expires_at = now() from marked
    ), tombstone as (
      update tombstones t set epoch = t.epoch + ${TOKEN_GAP}, holder = null, expires_at = null from marked
    ), writer as (
      update writers w set epoch = w.epoch + ${TOKEN_GAP} from marked
    )
    select setval('jobs_id_seq', greatest((select last_value from jobs_id_seq), ${jobId}::bigint) + ${TOKEN_GAP})
    from marked`
  return rows.length === 1
}

/** Job ids go on above this one. */
export async function raiseJobIds(sql: SqlSession, jobId: number): Promise<void> {
  await sql`select setval('jobs_id_seq', greatest((select last_value from jobs_id_seq), ${jobId}::bigint))`
}

export async function clearBehind(sql: SqlSession): Promise<void> {
  await sql`update recovery_state set behind_since = null, behind_reason = null`
}
