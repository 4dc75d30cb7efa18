/**
 * Which datasets of a segment a plan may take: live, of an incarnation that lives, held by no open job, of a tenant that
 * is compacted, and not marked.
 *
 * Most segments have nothing of the kind to ask about: that is found out once a segment, and all that is live is taken.
 * Only the others are judged dataset by dataset. A pass over 2,000 segments of 300 datasets would take seconds otherwise,
 * and a statement that runs into its timeout would stop planning for good.
 * Each second half counts, so it has a row even of nothing: `having` takes it away where the first half has spoken. A
 * segment with a row of 0 beside its own would be taken for one of which nothing may be planned.
 */
import type { CompactedTenants } from '#core/compaction/tenant-switch.ts'
import type { SqlSession } from '../client.ts'

export const ALL_TENANTS: CompactedTenants = { off: [], only: undefined }

/** Per `segments s` a row: how many they are (`n`) and their bytes. */
export function plannableSizes(sql: SqlSession, tenants: CompactedTenants) {
  const isWhole = isUnrestricted(sql, tenants)
  return sql`select bit_count(s.live) as n, s.size_bytes where ${isWhole}
    union all
    select count(*), sum(d.size_bytes)::bigint
    from unnest(s.tenant, s.dataset_size_bytes) with ordinality as d(tenant, size_bytes, n)
    where not ${isWhole} and ${isPlannable(sql, tenants)}
    having not ${isWhole}`
}

/** Per `segments s` a row: their positions, ascending, and their tenants. */
export function plannableDatasets(sql: SqlSession, tenants: CompactedTenants) {
  const isWhole = isUnrestricted(sql, tenants)
  return sql`select
      array(select i from generate_series(0, length(s.live) - 1) as i where get_bit(s.live, i) = 1 order by i) as indexes,
      array(select distinct t from unnest(s.tenant) as t) as tenants
    where ${isWhole}
    union all
    select array_agg((d.n - 1)::int order by d.n), array_agg(distinct d.tenant)
    from unnest(s.tenant) with ordinality as d(tenant, n)
    where not ${isWhole} and ${isPlannable(sql, tenants)}
    having not ${isWhole}`
}

/** Of `segments s`: nothing stands against any of its datasets. */
function isUnrestricted(sql: SqlSession, { off, only }: CompactedTenants) {
  if (only !== undefined) return sql`false`
  return sql`(not (s.tenant && ${off}::text[])
    and not exists (select from job_sources js where js.object_id = s.object_id)
    and not exists (select from compaction_marks m where m.object_id = s.object_id)
    and (s.tenant && (select array_agg(i.tenant) from tenant_incarnations i where i.live_from > 1)) is not true)`
}

function isPlannable(sql: SqlSession, tenants: CompactedTenants) {
  return sql`get_bit(s.live, (d.n - 1)::int) = 1 and ${isCompactedTenant(sql, tenants)}
      and not exists (select from job_sources js where js.object_id = s.object_id and (d.n - 1)::int = any(js.indexes))
      and not exists (
        select from compaction_marks m
        where m.object_id = s.object_id and m.tenant = d.tenant and m.dataset_index in (-1, (d.n - 1)::int)
      )
      and not exists (
        select from tenant_incarnations i where i.tenant = d.tenant and coalesce(s.incarnation[d.n], 1) < i.live_from
      )`
}

/**
 * Of `segments s`: something live is held by no open job. Cheap, so that a queue that nobody works off is not taken apart
 * at every pass; a dataset that was retired while a job holds it can hide another until that job ends, a parked job none.
 */
export function isNotHeldWhole(sql: SqlSession) {
  return sql`bit_count(s.live) > (
    select coalesce(sum(case j.state
      when 'parked' then (select count(*) from unnest(js.indexes) as i where get_bit(s.live, i) = 1)
      else cardinality(js.indexes) end), 0)
    from job_sources js join jobs j on j.id = js.job_id where js.object_id = s.object_id
  )`
}

/** Of `d.tenant`. */
export function isCompactedTenant(sql: SqlSession, { off, only }: CompactedTenants) {
  const isOn = off.length === 0 ? sql`true` : sql`d.tenant <> all(${off}::text[])`
  return only === undefined ? isOn : sql`(${isOn} and d.tenant = any(${only}::text[]))`
}
