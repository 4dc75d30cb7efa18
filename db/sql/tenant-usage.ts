/** What tenants used by day, and what is stored of them now: live datasets and waiting segments, hidden ones left out. */
import type { TenantUsageRequest, UsageDay } from '#core/rpc/ingest-ledger.ts'
import type { SqlSession } from '../client.ts'

export async function selectUsage(
  sql: SqlSession,
  { tenant, fromMs, untilMs }: TenantUsageRequest,
): Promise<UsageDay[]> {
  const rows = await sql<UsageDay[]>`
    select day_ms::float8 as "dayMs", profiles::float8 as profiles, bytes_in::float8 as "bytesIn",
      decompressed_bytes::float8 as "decompressedBytes"
    from tenant_usage where tenant = ${tenant}::text and day_ms >= ${fromMs}::bigint and day_ms < ${untilMs}::bigint
    order by day_ms`
  return rows.map((row) => ({ ...row }))
}

export interface StoredData {
  readonly tenant: string
  readonly bytes: number
  readonly profiles: number
}

/** Of one tenant, or the largest of all. */
export async function selectStored(
  sql: SqlSession,
  { tenant, tenantsMax }: { readonly tenant?: string; readonly tenantsMax: number },
): Promise<StoredData[]> {
  const ofDataset = tenant === undefined ? sql`` : sql`and d.tenant = ${tenant}::text`
  const ofSegment = tenant === undefined ? sql`` : sql`and s.tenant && array[${tenant}::text]`
  const rows = await sql<StoredData[]>`
    select v.tenant, sum(v.size_bytes)::float8 as bytes, sum(v.profile_count)::float8 as profiles
    from (
      select d.tenant, d.size_bytes, d.profile_count, d.incarnation from datasets d where d.is_live ${ofDataset}
      union all
      select d.tenant, d.size_bytes, d.profile_count, coalesce(s.incarnation[d.n], 1)
      from segments s cross join lateral unnest(s.tenant, s.dataset_size_bytes, s.profile_count)
        with ordinality as d(tenant, size_bytes, profile_count, n)
      where s.is_live ${ofSegment} and get_bit(s.live, (d.n - 1)::int) = 1 ${ofDataset}
    ) as v left join tenant_incarnations i on i.tenant = v.tenant
    where v.incarnation >= coalesce(i.live_from, 1)
    group by v.tenant order by bytes desc, v.tenant limit ${tenantsMax}::int`
  return rows.map((row) => ({ ...row }))
}
