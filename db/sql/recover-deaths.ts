/**
 * Incarnations of tenants that died, as the bucket has them: what is of a dead one must not come back by itself. A database
 * that does not know of a death (it is older) gets a deletion of its own: one that can be undone until the time that the
 * bucket says, else one that removes what there is. One that is open grows.
 */
import type { TenantObject } from '#core/retention/tenant-object.ts'
import type { Sql, SqlSession } from '../client.ts'
import { beginRestore } from './tenant-deletions.ts'

/** The bucket has milliseconds with a fraction, the database microseconds. */
const SAME_DEATH_MS = 1

export interface EnteredDeath {
  readonly tenant: string
  /** Until when it can be undone; undefined = not at all. */
  readonly removeAtMs: number | undefined
}

/** Those that this database did not have. One that can still be undone begins as it was asked for, with its own end. */
export async function enterDeaths(sql: SqlSession, deaths: readonly TenantObject[]): Promise<EnteredDeath[]> {
  const dead = deaths.filter(({ diedMs }) => diedMs !== undefined)
  const text = (value: number | undefined): string => (value === undefined ? '' : String(value))
  const rows = await sql<{ tenant: string; remove_at_ms: number | null }[]>`
    with death as materialized (
      select d.tenant, d.incarnation, to_timestamp(d.died_ms::float8 / 1000) as died_at, i.incarnation as known, i.live_from,
        coalesce(to_timestamp(nullif(d.remove_at_ms, '')::float8 / 1000) > now(), false) as is_open,
        to_timestamp(nullif(d.remove_at_ms, '')::float8 / 1000) as remove_at, d.previous_live_from,
        to_timestamp(nullif(d.previous_died_ms, '')::float8 / 1000) as previous_died_at, d.previous_is_final = 1 as previous_is_final
      from unnest(${dead.map((d) => d.tenant)}::text[], ${dead.map((d) => d.incarnation)}::int[],
        ${dead.map((d) => String(d.diedMs))}::text[], ${dead.map((d) => text(d.open?.removeAtMs))}::text[],
        ${dead.map((d) => d.open?.previousLiveFrom ?? 1)}::int[], ${dead.map((d) => text(d.open?.previousDiedMs))}::text[],
        ${dead.map((d) => (d.open?.previousIsFinal === true ? 1 : 0))}::int[]
      ) as d(tenant, incarnation, died_ms, remove_at_ms, previous_live_from, previous_died_ms, previous_is_final)
      left join tenant_incarnations i on i.tenant = d.tenant
      where i.tenant is null or i.incarnation < d.incarnation
    ), entered as (
      insert into tenant_incarnations (tenant, incarnation, live_from, died_at, is_final)
      select tenant, incarnation, incarnation, died_at, not is_open from death order by tenant
      on conflict (tenant) do update set incarnation = excluded.incarnation, live_from = excluded.live_from,
        died_at = excluded.died_at, is_final = excluded.is_final
    ), deletion as (
      insert into tenant_deletions (tenant, state, dead_below, previous_live_from, previous_died_at, previous_is_final,
        remove_at)
      select tenant, 'hiding', incarnation, case when is_open then previous_live_from else coalesce(live_from, 1) end,
        case when is_open then previous_died_at end, is_open and previous_is_final, case when is_open then remove_at else now() end
      from death order by tenant
      on conflict (tenant) where state in ('hiding', 'hidden', 'restoring')
        do update set state = 'hiding', dead_below = excluded.dead_below, remove_at = excluded.remove_at,
          previous_live_from = excluded.previous_live_from, previous_died_at = excluded.previous_died_at,
          previous_is_final = excluded.previous_is_final
    )
    select tenant, case when is_open then (extract(epoch from remove_at) * 1000)::float8 end as remove_at_ms
    from death order by tenant`
  return rows.map(({ tenant, remove_at_ms }) => ({ tenant, removeAtMs: remove_at_ms ?? undefined }))
}

/**
 * Deletions whose rows this database does not have, because they came with the dump of settings: what they hide is adopted
 * and hidden anew, and counted then.
 */
export async function hideAnew(sql: SqlSession): Promise<void> {
  await sql`
    update tenant_deletions d set state = 'hiding', dataset_count = 0, profile_count = 0, size_bytes = 0, oldest_ms = null,
      newest_ms = null
    where d.state in ('hiding', 'hidden') and not exists (select from datasets k where k.hidden_by = d.id)`
}

/** Deaths that can be undone, as this database has them: with those of the bucket all that adoption must know. */
export async function selectUndoable(sql: SqlSession): Promise<Omit<TenantObject, 'alsoDead'>[]> {
  const rows = await sql<
    {
      tenant: string
      live_from: number
      died_ms: number
      remove_at_ms: number
      previous_live_from: number
      previous_died_ms: number | null
      previous_is_final: boolean
    }[]
  >`
    select i.tenant, i.live_from, (extract(epoch from i.died_at) * 1000)::float8 as died_ms,
      (extract(epoch from d.remove_at) * 1000)::float8 as remove_at_ms, d.previous_live_from,
      case when isfinite(d.previous_died_at) then (extract(epoch from d.previous_died_at) * 1000)::float8 end
        as previous_died_ms, d.previous_is_final
    from tenant_incarnations i join tenant_deletions d on d.tenant = i.tenant and d.dead_below = i.live_from
    where d.state in ('hiding', 'hidden') and not i.is_final order by i.tenant`
  return rows.map((row) => ({
    tenant: row.tenant,
    incarnation: row.live_from,
    diedMs: row.died_ms,
    open: {
      removeAtMs: row.remove_at_ms,
      previousLiveFrom: row.previous_live_from,
      previousDiedMs: row.previous_died_ms ?? undefined,
      previousIsFinal: row.previous_is_final,
      lost: [],
    },
  }))
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
