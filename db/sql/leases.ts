/**
 * Leases of duties: a row (name, holder, epoch, expires_at) with a fencing epoch. Time is Postgres' own.
 *
 * A term is exactly (name, holder, epoch). Its holder may extend it; anyone may begin the next term once it has run out,
 * with the next epoch. The advisory lock is only a gate that keeps a crowd from queueing on the row; it guards nothing,
 * because a transaction lock says nothing about the time after the transaction. Every write under a lease carries its
 * term and is refused by its own statement if the epoch moved.
 */
import type { SqlSession } from '../client.ts'

export interface LeaseTerm {
  readonly name: string
  readonly holder: string
  readonly epoch: number
}

/** Extends the term given, or begins a new one if the lease is free. Undefined: somebody else holds it. */
export async function acquireLease(
  sql: SqlSession,
  request: {
    readonly name: string
    readonly holder: string
    readonly epoch: number | undefined
    readonly ttlMs: number
  },
): Promise<LeaseTerm | undefined> {
  const { name, holder, epoch, ttlMs } = request
  const [row] = await sql<{ epoch: number }[]>`
    insert into leases as l (name, holder, epoch, expires_at)
    select ${name}::text, ${holder}::text, 1, now() + ${ttlMs}::float8 * interval '1 millisecond'
    where pg_try_advisory_xact_lock(hashtextextended('lease ' || ${name}::text, 0))
    on conflict (name) do update set
      holder = excluded.holder,
      epoch = case when l.expires_at > now() then l.epoch else l.epoch + 1 end,
      acquired_at = case when l.expires_at > now() then l.acquired_at else now() end,
      expires_at = excluded.expires_at
    where l.expires_at <= now() or (l.holder = excluded.holder and l.epoch = ${epoch ?? -1}::bigint)
    returning epoch`
  return row === undefined ? undefined : { name, holder, epoch: row.epoch }
}

/** Ends the exact term at once, so that a clean stop leaves no wait behind. The epoch stays: it only grows. */
export async function releaseLease(sql: SqlSession, term: LeaseTerm): Promise<boolean> {
  const rows = await sql`
    update leases set expires_at = now()
    where name = ${term.name} and holder = ${term.holder} and epoch = ${term.epoch} and expires_at > now()
    returning name`
  return rows.length === 1
}
