/**
 * Tenants and what is visible of them, page by page in the order of their names. Names come by hops over the keys of label
 * sets and live datasets, so that a page costs its tenants, not the table; waiting segments are few and read whole.
 */
import type { SqlSession } from '../client.ts'
import { unpackedDatasets } from './source-rows.ts'

export interface TenantRow {
  readonly tenant: string
  readonly services: number
  readonly datasets: number
  readonly profiles: number
  readonly bytes: number
  readonly oldestMs: number | undefined
  readonly newestMs: number | undefined
  /** Of the newest deletion that is not finished. */
  readonly deletionState: string | undefined
}

export async function selectTenants(sql: SqlSession, after: string, limit: number): Promise<TenantRow[]> {
  const rows = await sql<
    {
      tenant: string
      services: number
      datasets: number
      profiles: number
      bytes: number
      oldest: number | null
      newest: number | null
      state: string | null
    }[]
  >`
    with recursive waiting as materialized (
      select d.tenant, d.service, d.profile_count, d.size_bytes, d.min_time_ms, d.max_time_ms,
        coalesce(s.incarnation[d.n], 1) as incarnation
      from segments s cross join lateral ${unpackedDatasets(sql)}
      where s.is_live and get_bit(s.live, (d.n - 1)::int) = 1
    ), named(tenant, hops) as (
      select least(
        (select min(l.tenant) from label_sets l where l.tenant > ${after}),
        (select min(d.tenant) from datasets d where d.is_live and d.tenant > ${after}),
        (select min(w.tenant) from waiting w where w.tenant > ${after}),
        (select min(t.tenant) from tenant_deletions t where t.tenant > ${after} and t.finished_at is null)), 1
      union all
      select least(
        (select min(l.tenant) from label_sets l where l.tenant > n.tenant),
        (select min(d.tenant) from datasets d where d.is_live and d.tenant > n.tenant),
        (select min(w.tenant) from waiting w where w.tenant > n.tenant),
        (select min(t.tenant) from tenant_deletions t where t.tenant > n.tenant and t.finished_at is null)), n.hops + 1
      from named n where n.tenant is not null and n.hops < ${limit}
    )
    select n.tenant, v.*, (
        select d.state from tenant_deletions d where d.tenant = n.tenant and d.finished_at is null order by d.id desc limit 1
      ) as state
    from named n
    left join tenant_incarnations i on i.tenant = n.tenant
    cross join lateral (
      select count(distinct service)::int as services, count(*)::int as datasets,
        coalesce(sum(profile_count), 0)::float8 as profiles, coalesce(sum(size_bytes), 0)::float8 as bytes,
        min(min_time_ms) as oldest, max(max_time_ms) as newest
      from (
        select d.service, d.profile_count, d.size_bytes, d.min_time_ms, d.max_time_ms from datasets d
        where d.is_live and d.tenant = n.tenant and d.incarnation >= coalesce(i.live_from, 1)
        union all
        select w.service, w.profile_count, w.size_bytes, w.min_time_ms, w.max_time_ms from waiting w
        where w.tenant = n.tenant and w.incarnation >= coalesce(i.live_from, 1)
      ) as visible
    ) as v
    where n.tenant is not null order by n.tenant`
  return rows.map(({ oldest, newest, state, ...row }) => ({
    ...row,
    oldestMs: oldest ?? undefined,
    newestMs: newest ?? undefined,
    deletionState: state ?? undefined,
  }))
}

/** Whether anything was ever committed here. */
export async function hasObjects(sql: SqlSession): Promise<boolean> {
  const [row] = await sql<{ has: boolean }[]>`select exists (select from objects) as has`
  return row!.has
}
