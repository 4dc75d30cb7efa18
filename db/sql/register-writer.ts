/**
 * A writer's registration: a lease with what the writer says of itself.
 *
 * 1. `beginTerm`: a process without an epoch takes the registration of its id over, with the next epoch; the same process
 *    again (its answer was lost) gets the epoch that it has. Past `writersMax` rows no new id is taken in.
 * 2. `renewTerm`: the exact term alone, of id, process life and epoch. It need not have run out in time: nobody else began
 *    one, so it is the same writer, back.
 * 3. `endTerm`: the exact term's row goes, and what it said with it.
 * Each is one statement. What changes who serves makes the next pass of placement due at once, in the same statement: who
 * is told that it is registered will be in the table soon, whatever happens to this process.
 */
import type { DeregisterWriterRequest, RegisterWriterRequest } from '#core/rpc/placement.ts'
import type { SqlSession } from '../client.ts'

export interface WriterTerm {
  readonly epoch: number
  readonly generation: number
  /** The next pass has something to do. */
  readonly isNews: boolean
}

/** Also the name of its lease. */
export const PLACEMENT_DUTY = 'placement'

/** Undefined: no room for another writer. */
export async function beginTerm(
  sql: SqlSession,
  request: RegisterWriterRequest,
  { writersMax }: { readonly writersMax: number },
): Promise<WriterTerm | undefined> {
  const { writerId, instanceId, address, state, ttlMs } = request
  const [row] = await sql<WriterTerm[]>`
    with term as (
      insert into writers as w (writer_id, instance_id, address, state, epoch, expires_at)
      select ${writerId}::text, ${instanceId}::text, ${address}::text, ${state}::text, 1,
        now() + ${ttlMs}::float8 * interval '1 millisecond'
      where (select count(*) from writers) < ${writersMax}::int
        or exists (select from writers where writer_id = ${writerId}::text)
      on conflict (writer_id) do update set
        epoch = case when w.instance_id = excluded.instance_id then w.epoch else w.epoch + 1 end,
        registered_at = case when w.instance_id = excluded.instance_id then w.registered_at else now() end,
        instance_id = excluded.instance_id,
        address = excluded.address,
        state = excluded.state,
        expires_at = excluded.expires_at
      returning epoch
    ), told as (${tellRates(sql, request)}), due as (
      update duties set due_at = now() where name = ${PLACEMENT_DUTY} and due_at > now() and exists (select from term)
    )
    select epoch, (select coalesce(max(generation), 0) from placement) as generation, true as "isNews" from term`
  return row
}

/** Undefined: another process has the registration, or nobody. */
export async function renewTerm(sql: SqlSession, request: RegisterWriterRequest): Promise<WriterTerm | undefined> {
  const { writerId, instanceId, epoch, address, state, ttlMs } = request
  const [row] = await sql<WriterTerm[]>`
    with held as materialized (
      select expires_at <= now() or state <> ${state}::text or address <> ${address}::text as is_news
      from writers where writer_id = ${writerId}::text and instance_id = ${instanceId}::text
        and epoch = ${epoch}::bigint
      for update
    ), term as (
      update writers set address = ${address}::text, state = ${state}::text,
        expires_at = now() + ${ttlMs}::float8 * interval '1 millisecond'
      from held where writer_id = ${writerId}::text
      returning epoch
    ), told as (${tellRates(sql, request)}), due as (
      update duties set due_at = now() where name = ${PLACEMENT_DUTY} and due_at > now()
        and exists (select from held where is_news)
    )
    select epoch, (select coalesce(max(generation), 0) from placement) as generation,
      (select is_news from held) as "isNews" from term`
  return row
}

/** By another process. A database that was restored has raised the epochs of all (commit-counter.ts): nobody took them over. */
export async function isTakenOver(
  sql: SqlSession,
  { writerId, instanceId }: Pick<RegisterWriterRequest, 'writerId' | 'instanceId'>,
): Promise<boolean> {
  const rows = await sql`
    select from writers where writer_id = ${writerId}::text and instance_id <> ${instanceId}::text`
  return rows.length === 1
}

export async function endTerm(
  sql: SqlSession,
  { writerId, instanceId, epoch }: DeregisterWriterRequest,
): Promise<{ readonly isEnded: boolean; readonly generation: number }> {
  const [row] = await sql<{ isEnded: boolean; generation: number }[]>`
    with ended as (
      delete from writers where writer_id = ${writerId}::text and instance_id = ${instanceId}::text
        and epoch = ${epoch}::bigint
      returning writer_id
    ), told as (
      delete from writer_rates where writer_id in (select writer_id from ended)
    ), due as (
      update duties set due_at = now() where name = ${PLACEMENT_DUTY} and due_at > now() and exists (select from ended)
    )
    select exists (select from ended) as "isEnded",
      (select coalesce(max(generation), 0) from placement) as generation`
  return row!
}

/** Of those whose lease ran out long ago, but for `kept`; returns how many. Idempotent, and it skips rows that others hold. */
export async function forgetWriters(
  sql: SqlSession,
  { ageMs, kept, rows }: { ageMs: number; kept: readonly string[]; rows: number },
): Promise<number> {
  const [row] = await sql<{ gone: number }[]>`
    with old as materialized (
      select writer_id from writers where expires_at < now() - ${ageMs}::float8 * interval '1 millisecond'
        and writer_id <> all(${kept}::text[])
      order by writer_id limit ${rows}::int for update skip locked
    ), gone as (
      delete from writers where writer_id in (select writer_id from old) returning writer_id
    ), told as (
      delete from writer_rates where writer_id in (select writer_id from gone)
    )
    select count(*)::int as gone from gone`
  return row!.gone
}

/** By who holds the term, in its own statement. */
function tellRates(sql: SqlSession, request: RegisterWriterRequest) {
  const { writerId, rates, restBytesPerSecond, restProfilesPerSecond, demands } = request
  return sql`
    insert into writer_rates as r (writer_id, tenants, services, bytes_per_second, profiles_per_second,
      rest_bytes_per_second, rest_profiles_per_second, demand_tenants, demands)
    select ${writerId}::text, ${rates.map(({ tenant }) => tenant)}::text[], ${rates.map(({ service }) => service)}::text[],
      ${rates.map((rate) => String(rate.bytesPerSecond))}::text[]::float8[], ${rates.map((rate) => String(rate.profilesPerSecond))}::text[]::float8[],
      ${restBytesPerSecond}::float8, ${restProfilesPerSecond}::float8,
      ${demands.map(({ tenant }) => tenant)}::text[], ${demands.map(({ load }) => String(load))}::text[]::float8[]
    from term
    on conflict (writer_id) do update set tenants = excluded.tenants, services = excluded.services,
      bytes_per_second = excluded.bytes_per_second, profiles_per_second = excluded.profiles_per_second,
      rest_bytes_per_second = excluded.rest_bytes_per_second,
      rest_profiles_per_second = excluded.rest_profiles_per_second,
      demand_tenants = excluded.demand_tenants, demands = excluded.demands`
}
