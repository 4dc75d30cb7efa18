/**
 * Runs of singleton duties. Who may run one is decided by its lease (leases.ts), when it is due by its row here.
 *
 * 1. `selectDueDuties`: one statement for all names, so that a quiet replica costs one statement a look.
 * 2. `beginDuty`: under the lease's term, if it is still due. It writes what holds if nobody ever comes back: one failure
 *    more, and due again after the delay for that many.
 * 3. `finishDuty`: the end, by the exact term; it gives the lease back in the same statement.
 */
import type { SqlSession } from '../client.ts'
import type { LeaseTerm } from './leases.ts'

/** An error is for a person: 1,000 characters hold any sentence of ours, and no row grows with a stack. */
const ERROR_CHARS_MAX = 1_000
/** 2^20 times any delay is past any maximum; beyond it the power would leave the range of an interval. */
const DOUBLINGS_MAX = 20

export interface DueDuty {
  readonly name: string
  /** 0 or less: due. */
  readonly dueInMs: number
  /** 0: nobody holds its lease. */
  readonly heldForMs: number
}

export async function selectDueDuties(sql: SqlSession, names: readonly string[]): Promise<DueDuty[]> {
  return await sql<DueDuty[]>`
    select n.name,
      coalesce(extract(epoch from d.due_at - now()) * 1000, 0)::float8 as "dueInMs",
      greatest(0, coalesce(extract(epoch from l.expires_at - now()) * 1000, 0))::float8 as "heldForMs"
    from unnest(${names}::text[]) as n(name)
    left join duties d on d.name = n.name
    left join leases l on l.name = n.name`
}

export interface RetryDelay {
  readonly baseMs: number
  readonly maxMs: number
}

/** False if the lease has moved, or if it is not due any more: another replica ran it after we had looked. */
export async function beginDuty(sql: SqlSession, term: LeaseTerm, retry: RetryDelay): Promise<boolean> {
  const { name, holder, epoch } = term
  const rows = await sql`
    with lease as materialized (
      select 1 from leases
      where name = ${name} and holder = ${holder} and epoch = ${epoch} and expires_at > now()
      for share
    )
    insert into duties as d (name, holder, epoch, started_at, due_at, failures)
    select ${name}::text, ${holder}::text, ${epoch}::bigint, now(),
      now() + ${retry.baseMs}::float8 * interval '1 millisecond', 1
    from lease
    on conflict (name) do update set
      holder = excluded.holder,
      epoch = excluded.epoch,
      started_at = excluded.started_at,
      failures = d.failures + 1,
      due_at = now() + interval '1 millisecond' *
        least(${retry.maxMs}::float8, ${retry.baseMs}::float8 * power(2::float8, least(d.failures, ${DOUBLINGS_MAX}::int)))
    where d.due_at <= now()
    returning name`
  return rows.length === 1
}

/** How a run ended: well; with an error; or stopped by its process, which is no failure and leaves it due at once. */
export type DutyEnd =
  | { readonly kind: 'done'; readonly nextInMs: number }
  | { readonly kind: 'failed'; readonly error: string }
  | { readonly kind: 'stopped' }

/** False if the term was over: then another holder's run is what the row tells of. */
export async function finishDuty(sql: SqlSession, term: LeaseTerm, end: DutyEnd): Promise<boolean> {
  const { name, holder, epoch } = term
  const nextInMs = end.kind === 'done' ? end.nextInMs : 0
  const error = end.kind === 'failed' ? end.error.slice(0, ERROR_CHARS_MAX) : null
  const rows = await sql`
    with lease as (
      update leases set expires_at = now()
      where name = ${name} and holder = ${holder} and epoch = ${epoch}
      returning 1
    )
    update duties set
      finished_at = now(),
      failures = case ${end.kind}::text when 'done' then 0 when 'stopped' then greatest(failures - 1, 0) else failures end,
      due_at = case ${end.kind}::text when 'failed' then due_at else now() + ${nextInMs}::float8 * interval '1 millisecond' end,
      last_error = coalesce(${error}::text, last_error),
      last_error_at = case when ${error}::text is null then last_error_at else now() end
    where name = ${name} and holder = ${holder} and epoch = ${epoch} and exists (select from lease)
    returning name`
  return rows.length === 1
}

/** A lease, and the duty of its name if it is one with runs. Times are Unix milliseconds of the database. */
export interface DutyState {
  readonly name: string
  /** Who has its lease now; null: nobody. */
  readonly holder: string | null
  readonly epoch: number
  readonly expiresInMs: number | null
  readonly lastHolder: string | null
  readonly startedAtMs: number | null
  /** Before `startedAtMs`: it runs, or the one who ran it died. */
  readonly finishedAtMs: number | null
  readonly dueAtMs: number | null
  /** In a row. */
  readonly failures: number
  /** The last one ever, with its time: it stays when later runs go well. */
  readonly lastError: string | null
  readonly lastErrorAtMs: number | null
}

/** More leases than this are no duties: writers have a table of their own. */
const STATES_MAX = 1_000

export async function selectDutyStates(sql: SqlSession): Promise<DutyState[]> {
  return await sql<DutyState[]>`
    select coalesce(d.name, l.name) as name,
      case when l.expires_at > now() then l.holder end as holder,
      coalesce(l.epoch, d.epoch) as epoch,
      case when l.expires_at > now() then (extract(epoch from l.expires_at - now()) * 1000)::float8 end as "expiresInMs",
      d.holder as "lastHolder",
      floor(extract(epoch from d.started_at) * 1000)::float8 as "startedAtMs",
      floor(extract(epoch from d.finished_at) * 1000)::float8 as "finishedAtMs",
      floor(extract(epoch from d.due_at) * 1000)::float8 as "dueAtMs",
      coalesce(d.failures, 0) as failures,
      d.last_error as "lastError",
      floor(extract(epoch from d.last_error_at) * 1000)::float8 as "lastErrorAtMs"
    from duties d full join leases l on l.name = d.name
    order by 1
    limit ${STATES_MAX}`
}
