/**
 * The ledger of pushes. A batch is one statement: its source's number decides whether it counts, then rows are added up by
 * service and minute and by tenant and day. Rows are locked in key order, so that writers do not deadlock.
 */
import type { ExplainPushesRequest, LedgerRow, RecordPushesRequest } from '#core/rpc/ingest-ledger.ts'
import type { SqlSession } from '../client.ts'

/** False: the batch was there, and nothing changed. */
export async function recordPushes(sql: SqlSession, { source, sequence, rows }: RecordPushesRequest): Promise<boolean> {
  const texts = (name: 'tenant' | 'service' | 'outcome' | 'reason' | 'message') =>
    sql`${rows.map((row) => row[name])}::text[]`
  const counts = (name: 'minuteMs' | 'profiles' | 'bytes' | 'decompressedBytes') =>
    sql`${rows.map((row) => row[name])}::bigint[]`
  const [row] = await sql<{ recorded: boolean }[]>`
    with gate as (
      insert into ledger_sources (source, sequence) values (${source}::text, ${sequence}::bigint)
      on conflict (source) do update set sequence = excluded.sequence, seen_at = now()
        where ledger_sources.sequence < excluded.sequence
      returning source
    ), sent as materialized (
      select r.* from gate, unnest(${texts('tenant')}, ${texts('service')}, ${counts('minuteMs')}, ${texts('outcome')},
        ${texts('reason')}, ${counts('profiles')}, ${counts('bytes')}, ${counts('decompressedBytes')}, ${texts('message')})
        as r(tenant, service, minute_ms, outcome, reason, profiles, bytes, decompressed_bytes, message)
    ), counted as (
      insert into ingest_ledger as l
        (tenant, service, minute_ms, outcome, reason, profiles, bytes, decompressed_bytes, message)
      select tenant collate "C", service collate "C", minute_ms, outcome collate "C", reason collate "C",
        sum(profiles)::bigint, sum(bytes)::bigint, sum(decompressed_bytes)::bigint, max(message)
      from sent group by 1, 2, 3, 4, 5 order by 1, 2, 3, 4, 5
      on conflict (tenant, service, minute_ms, outcome, reason) do update set
        profiles = l.profiles + excluded.profiles, bytes = l.bytes + excluded.bytes,
        decompressed_bytes = l.decompressed_bytes + excluded.decompressed_bytes,
        message = case when excluded.message = '' then l.message else excluded.message end
    ), used as (
      insert into tenant_usage as u (tenant, day_ms, profiles, bytes_in, decompressed_bytes)
      select tenant collate "C", minute_ms - minute_ms % 86400000, sum(profiles)::bigint, sum(bytes)::bigint,
        sum(decompressed_bytes)::bigint
      from sent where outcome = 'stored' group by 1, 2 order by 1, 2
      on conflict (tenant, day_ms) do update set profiles = u.profiles + excluded.profiles,
        bytes_in = u.bytes_in + excluded.bytes_in,
        decompressed_bytes = u.decompressed_bytes + excluded.decompressed_bytes
    )
    select exists (select from gate) as recorded`
  return row!.recorded
}

/** The newest. */
export async function selectLedger(
  sql: SqlSession,
  { tenant, service, sinceMs, rowsMax }: ExplainPushesRequest,
): Promise<LedgerRow[]> {
  const ofService = service === undefined ? sql`` : sql`and service = ${service}::text`
  const rows = await sql<LedgerRow[]>`
    select tenant, service, minute_ms::float8 as "minuteMs", outcome, reason, profiles::float8 as profiles,
      bytes::float8 as bytes, decompressed_bytes::float8 as "decompressedBytes", message
    from ingest_ledger where tenant = ${tenant}::text ${ofService} and minute_ms >= ${sinceMs}::bigint
    order by minute_ms desc, service, outcome, reason limit ${rowsMax}::int`
  return rows.map((row) => ({ ...row })).reverse()
}

export interface LedgerAges {
  readonly minutesMs: number
  readonly sourcesMs: number
  readonly usageMs: number
  readonly batchRows: number
}

/** One batch of what is past its age; returns how many rows of minutes went. */
export async function forgetPushes(sql: SqlSession, ages: LedgerAges): Promise<number> {
  const [row] = await sql<{ minutes: number }[]>`
    with old as materialized (
      select ctid from ingest_ledger where minute_ms < extract(epoch from now()) * 1000 - ${ages.minutesMs}::float8
      limit ${ages.batchRows} for update skip locked
    ), minutes as (
      delete from ingest_ledger where ctid = any(array(select ctid from old)) returning 1
    ), sources as (
      delete from ledger_sources where seen_at < now() - ${ages.sourcesMs}::float8 * interval '1 millisecond'
    ), days as (
      delete from tenant_usage where day_ms < extract(epoch from now()) * 1000 - ${ages.usageMs}::float8
    )
    select count(*)::int as minutes from minutes`
  return row!.minutes
}
