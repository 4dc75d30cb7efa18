/**
 * Incarnations of tenants that died, as the bucket has them: what is of a dead one must not come back. A database that does
 * not know of a death (it is older) gets a deletion of its own, which removes what it has; one that is open grows.
 */
import type { TenantObject } from '#core/retention/tenant-object.ts'
import type { Sql, SqlSession } from '../client.ts'
import { beginRestore } from './tenant-deletions.ts'

/** The bucket has milliseconds with a fraction, the database microseconds. */
const SAME_DEATH_MS = 1

/** Returns the tenants whose deletion cannot be undone any more, because this database did not have it. */
export async function enterDeaths(sql: SqlSession, deaths: readonly TenantObject[]): Promise<string[]> {
  const dead = deaths.filter(({ diedMs }) => diedMs !== undefined)
  const rows = await sql<{ tenant: string }[]>`
    with death as materialized (
      select d.tenant, d.incarnation, to_timestamp(d.died_ms::float8 / 1000) as died_at, i.incarnation as known, i.live_from
      from unnest(${dead.map((d) => d.tenant)}::text[], ${dead.map((d) => d.incarnation)}::int[],
        ${dead.map((d) => String(d.diedMs))}::text[]) as d(tenant, incarnation, died_ms)
      left join tenant_incarnations i on i.tenant = d.tenant
      where i.tenant is null or i.incarnation < d.incarnation
    ), entered as (
      insert into tenant_incarnations (tenant, incarnation, live_from, died_at, is_final)
      select tenant, incarnation, incarnation, died_at, true from death order by tenant
      on conflict (tenant) do update set incarnation = excluded.incarnation, live_from = excluded.live_from,
        died_at = excluded.died_at, is_final = true
    ), deletion as (
      insert into tenant_deletions (tenant, state, dead_below, previous_live_from, remove_at)
      select tenant, 'hiding', incarnation, coalesce(live_from, 1), now() from death order by tenant
      on conflict (tenant) where state in ('hiding', 'hidden', 'restoring')
        do update set state = 'hiding', dead_below = excluded.dead_below
    )
    select tenant from death order by tenant`
  return rows.map(({ tenant }) => tenant)
}

/**
 * Deletions that the bucket knows to be undone, while this database, of an older dump or backup, still has them: of the
 * same incarnation, without that death. They are undone here too; else a rebuild would take the tenant's objects for
 * garbage. Returns the tenants.
 */
export async function undoDeaths(sql: Sql, objects: readonly TenantObject[]): Promise<string[]> {
  const rows = await sql<{ tenant: string }[]>`
    select i.tenant
    from unnest(${objects.map((o) => o.tenant)}::text[], ${objects.map((o) => o.incarnation)}::int[],
      ${objects.map((o) => String(o.diedMs ?? '-Infinity'))}::text[]) as o(tenant, incarnation, died_ms)
    join tenant_incarnations i on i.tenant = o.tenant and i.incarnation = o.incarnation
    where extract(epoch from i.died_at) * 1000 > o.died_ms::float8 + ${SAME_DEATH_MS} and exists (
      select from tenant_deletions d where d.tenant = i.tenant and d.state in ('hiding', 'hidden'))
    order by i.tenant`
  const undone: string[] = []
  for (const { tenant } of rows) if ((await beginRestore(sql, tenant)) !== undefined) undone.push(tenant)
  return undone
}
