/** Oldest and newest profile of tenants over what is live: an index-only scan a partition, and the waiting segments. */
import type { TenantStatsResponse } from '#core/rpc/metastore.ts'
import type { SqlSession } from '../client.ts'

export async function selectTenantStats(sql: SqlSession, tenants: string[]): Promise<TenantStatsResponse> {
  const [row] = await sql<{ oldest: number | null; newest: number | null }[]>`
    select min(min_time_ms) as oldest, max(max_time_ms) as newest from (
      select d.min_time_ms, d.max_time_ms from datasets d
      where d.is_live and d.tenant = any(${tenants}::text[])
        and not exists (select from tenant_incarnations i where i.tenant = d.tenant and d.incarnation < i.live_from)
      union all
      select d.min_time_ms, d.max_time_ms
      from segments s cross join lateral unnest(s.tenant, s.dataset_min_time_ms, s.dataset_max_time_ms)
        with ordinality as d(tenant, min_time_ms, max_time_ms, n)
      where s.is_live and s.tenant && ${tenants}::text[] and d.tenant = any(${tenants}::text[])
        and get_bit(s.live, (d.n - 1)::int) = 1
        and not exists (
          select from tenant_incarnations i where i.tenant = d.tenant and coalesce(s.incarnation[d.n], 1) < i.live_from
        )
    ) as live`
  const oldest = row?.oldest ?? null
  return {
    dataIngested: oldest !== null,
    oldestProfileTimeMs: oldest ?? 0,
    newestProfileTimeMs: row?.newest ?? 0,
  }
}
