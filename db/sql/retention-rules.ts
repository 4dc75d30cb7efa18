/** The rules of retention: read whole (a fleet has few), written one at a time under the lock of `withRules`. */
import type { RetentionBound, RetentionRule, RetentionScope } from '#core/retention/rules.ts'
import type { Sql, SqlSession } from '../client.ts'
import { heldLease } from './lease-held.ts'
import type { LeaseTerm } from './leases.ts'

/** Any constant that no other advisory lock of the database has: with that of the commit counter, deletions would wait. */
const RULES_LOCK = 7_210_333

interface Row {
  tenant: string
  service: string
  retention_ms: number | null
  bound_ms: number
  pending_ms: number | null
  pending_from_ms: number | null
}

/** The rules, and Postgres' time. */
export async function selectRetentionRules(sql: SqlSession): Promise<{ rules: RetentionRule[]; nowMs: number }> {
  const rows = await sql<Row[]>`
    select tenant, service, retention_ms, bound_ms, pending_ms,
      floor(extract(epoch from pending_from) * 1000)::float8 as pending_from_ms
    from retention_rules order by tenant, service`
  const [time] = await sql<{ now_ms: number }[]>`select floor(extract(epoch from now()) * 1000)::float8 as now_ms`
  const rules = rows.map((row) => ({
    tenant: row.tenant,
    service: row.service,
    retentionMs: row.retention_ms ?? undefined,
    boundMs: row.bound_ms,
    pending:
      row.pending_from_ms === null
        ? undefined
        : { retentionMs: row.pending_ms ?? undefined, fromMs: row.pending_from_ms },
  }))
  return { rules, nowMs: time!.now_ms }
}

/** Reads the rules, lets `change` decide, and gives it the transaction to write in. One at a time. */
export async function withRules<T>(
  sql: Sql,
  change: (tx: SqlSession, rules: RetentionRule[], nowMs: number) => Promise<T>,
): Promise<T> {
  return (await sql.begin(async (tx) => {
    await tx`select pg_advisory_xact_lock(${RULES_LOCK}::bigint)`
    const { rules, nowMs } = await selectRetentionRules(tx)
    return await change(tx, rules, nowMs)
  })) as T
}

/** The bound of a rule that exists stays as it is. */
export async function upsertRetentionRule(sql: SqlSession, rule: RetentionRule): Promise<void> {
  const { tenant, service, retentionMs, boundMs, pending } = rule
  await sql`
    insert into retention_rules as r (tenant, service, retention_ms, bound_ms, pending_ms, pending_from)
    values (${tenant}, ${service}, ${retentionMs ?? null}::bigint, ${boundMs}::bigint,
      ${pending?.retentionMs ?? null}::bigint, to_timestamp(${pending?.fromMs ?? null}::float8 / 1000))
    on conflict (tenant, service) do update set
      retention_ms = excluded.retention_ms, pending_ms = excluded.pending_ms, pending_from = excluded.pending_from,
      set_at = now()`
}

/** An announcement is forgotten; what counted before goes on. False if there is none, or if its time has come. */
export async function cancelPending(sql: SqlSession, { tenant, service }: RetentionScope): Promise<boolean> {
  const rows = await sql`
    update retention_rules set pending_ms = null, pending_from = null
    where tenant = ${tenant} and service = ${service} and pending_from > now() returning tenant`
  return rows.length === 1
}

/** Announcements whose time has come take effect, and bounds rise, never fall. False if the lease has moved. */
export async function writeBounds(
  sql: SqlSession,
  term: LeaseTerm,
  bounds: readonly RetentionBound[],
): Promise<boolean> {
  const [row] = await sql<{ is_held: boolean }[]>`
    with lease as materialized (${heldLease(sql, term)}),
    bound as (
      select * from unnest(${bounds.map((b) => b.tenant)}::text[], ${bounds.map((b) => b.service)}::text[],
        ${bounds.map((b) => b.boundMs)}::bigint[]) as b(tenant, service, bound_ms)
    ), written as (
      update retention_rules r set
        bound_ms = greatest(r.bound_ms, b.bound_ms),
        retention_ms = case when r.pending_from <= now() then r.pending_ms else r.retention_ms end,
        pending_ms = case when r.pending_from <= now() then null else r.pending_ms end,
        pending_from = case when r.pending_from <= now() then null else r.pending_from end
      from bound b
      where exists (select from lease) and r.tenant = b.tenant and r.service = b.service
    )
    select exists (select from lease) as is_held`
  return row!.is_held
}
