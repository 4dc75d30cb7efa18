/**
 * Which datasets of a segment a plan may take: live, of an incarnation that lives, held by no open job, of a tenant that
 * is compacted, and not marked.
 */
import type { CompactedTenants } from '#core/compaction/tenant-switch.ts'
import type { SqlSession } from '../client.ts'

export const ALL_TENANTS: CompactedTenants = { off: [], only: undefined }

/** One row per `segments s`: positions, ascending, their bytes and tenants, and how many they are. */
export function plannableDatasets(sql: SqlSession, tenants: CompactedTenants) {
  return sql`select array_agg((d.n - 1)::int order by d.n) as indexes, sum(d.size_bytes)::bigint as size_bytes,
      array_agg(distinct d.tenant) as tenants, count(*) as n
    from unnest(s.tenant, s.dataset_size_bytes) with ordinality as d(tenant, size_bytes, n)
    where get_bit(s.live, (d.n - 1)::int) = 1 and ${isCompactedTenant(sql, tenants)}
      and not exists (select from job_sources js where js.object_id = s.object_id and (d.n - 1)::int = any(js.indexes))
      and not exists (
        select from compaction_marks m
        where m.object_id = s.object_id and m.tenant = d.tenant and m.dataset_index in (-1, (d.n - 1)::int)
      )
      and not exists (
        select from tenant_incarnations i where i.tenant = d.tenant and coalesce(s.incarnation[d.n], 1) < i.live_from
      )`
}

/** Of `d.tenant`. */
export function isCompactedTenant(sql: SqlSession, { off, only }: CompactedTenants) {
  const isOn = off.length === 0 ? sql`true` : sql`d.tenant <> all(${off}::text[])`
  return only === undefined ? isOn : sql`(${isOn} and d.tenant = any(${only}::text[]))`
}
