/**
 * What a pass of placement reads and writes. The reads need no common snapshot: the pass that comes next sees what this one
 * missed. The write is one statement, fenced by the duty's lease and by the generation that the pass began with.
 */
import type { SeenWriter } from '#core/placement/plan.ts'
import type { ServiceRate } from '#core/rpc/placement.ts'
import type { SqlSession } from '../client.ts'
import { heldLease } from './lease-held.ts'
import type { LeaseTerm } from './leases.ts'

export interface PlacementRow {
  readonly generation: number
  /** JSON of the table. */
  readonly content: string
  /** JSON of the state. */
  readonly state: string
}

/** `row` undefined: no pass was ever made. */
export async function selectPlacement(
  sql: SqlSession,
): Promise<{ readonly nowMs: number; readonly row: PlacementRow | undefined }> {
  const [row] = await sql<{ nowMs: number; generation: number | null; content: string; state: string }[]>`
    select floor(extract(epoch from now()) * 1000)::float8 as "nowMs", p.generation, p.content, p.state
    from (select) as once left join placement p on true`
  const { nowMs, generation, content, state } = row!
  return { nowMs, row: generation === null ? undefined : { generation, content, state } }
}

/** By id. */
export async function selectSeenWriters(sql: SqlSession, writersMax: number): Promise<SeenWriter[]> {
  const rows = await sql<SeenWriter[]>`
    select writer_id as "writerId", address, case when state = 'leaving' then state else 'serving' end as state,
      expires_at > now() as "isAlive"
    from writers order by writer_id limit ${writersMax}::int`
  return rows.map((row) => ({ ...row }))
}

export interface RatesRead {
  readonly servicesMax: number
  readonly unitBytes: number
  readonly unitProfiles: number
  /** In units: at a writer, and of all writers together. What has less is left out, and not in the rest either. */
  readonly loadMinAtWriter: number
  readonly loadMin: number
}

/** One row of all; the highest by name. Of writers that hold their lease: traffic of others has gone elsewhere. */
export async function selectRates(
  sql: SqlSession,
  { servicesMax, unitBytes, unitProfiles, loadMinAtWriter, loadMin }: RatesRead,
): Promise<{
  readonly rates: ServiceRate[]
  readonly rest: Pick<ServiceRate, 'bytesPerSecond' | 'profilesPerSecond'>
}> {
  const rows = await sql<{ tenant: string | null; service: string; bytes: number; profiles: number }[]>`
    with told as materialized (
      select r.* from writer_rates r join writers w using (writer_id) where w.expires_at > now()
    ), named as materialized (
      select tenant collate "C" as tenant, service collate "C" as service, sum(bytes) as bytes, sum(profiles) as profiles
      from told, unnest(tenants, services, bytes_per_second, profiles_per_second)
        as u(tenant, service, bytes, profiles)
      where greatest(bytes / ${unitBytes}::float8, profiles / ${unitProfiles}::float8) >= ${loadMinAtWriter}::float8
      group by tenant collate "C", service collate "C"
      having greatest(sum(bytes) / ${unitBytes}::float8, sum(profiles) / ${unitProfiles}::float8) >= ${loadMin}::float8
    ), highest as materialized (
      select * from named
      order by greatest(bytes / ${unitBytes}::float8, profiles / ${unitProfiles}::float8) desc, tenant collate "C",
        service collate "C"
      limit ${servicesMax}::int
    )
    select tenant, service, bytes, profiles from highest
    union all
    select null, '',
      coalesce((select sum(rest_bytes_per_second) from told), 0) + coalesce((select sum(bytes) from named), 0)
        - coalesce((select sum(bytes) from highest), 0),
      coalesce((select sum(rest_profiles_per_second) from told), 0) + coalesce((select sum(profiles) from named), 0)
        - coalesce((select sum(profiles) from highest), 0)`
  const rates: ServiceRate[] = []
  const rest = { bytesPerSecond: 0, profilesPerSecond: 0 }
  for (const { tenant, service, bytes: bytesPerSecond, profiles: profilesPerSecond } of rows) {
    if (tenant !== null) rates.push({ tenant, service, bytesPerSecond, profilesPerSecond })
    // Sums of floats in two orders differ in their last digits.
    else
      Object.assign(rest, {
        bytesPerSecond: Math.max(0, bytesPerSecond),
        profilesPerSecond: Math.max(0, profilesPerSecond),
      })
  }
  return { rates, rest }
}

/** False: the lease has moved, or somebody wrote meanwhile. */
export async function writePlacement(
  sql: SqlSession,
  term: LeaseTerm,
  { before, next }: { readonly before: number | undefined; readonly next: PlacementRow },
): Promise<boolean> {
  const { generation, content, state } = next
  const rows = await sql`
    with lease as materialized (${heldLease(sql, term)}), changed as (
      update placement set generation = ${generation}::bigint, content = ${content}::text, state = ${state}::text,
        changed_at = case when generation = ${generation}::bigint then changed_at else now() end
      from lease where generation = ${before ?? -1}::bigint
      returning generation
    ), made as (
      insert into placement (generation, content, state)
      select ${generation}::bigint, ${content}::text, ${state}::text
      from lease where ${before === undefined}::boolean
      on conflict do nothing
      returning generation
    )
    select generation from changed union all select generation from made`
  return rows.length === 1
}
