/**
 * What tenants bring to all writers, of what their limits allow (core/limits/rate-share.ts): writers tell it with their
 * registration, a pass of placement sums it into one row, and a renewal reads from that what the others get.
 */
import { DEMAND_SUMMED_MIN } from '#core/limits/rate-share.ts'
import type { OtherWritersLoad, RegisterWriterRequest } from '#core/rpc/placement.ts'
import type { SqlSession } from '../client.ts'
import { heldLease } from './lease-held.ts'
import type { LeaseTerm } from './leases.ts'

/** At or near their limits, and at several writers at once: 1,000 are 50 KB. */
const TENANTS_MAX = 1_000

/** Of writers that hold their lease. Nothing is written where nothing has changed. */
export async function sumDemands(sql: SqlSession, term: LeaseTerm): Promise<void> {
  await sql`
    with lease as materialized (${heldLease(sql, term)}), summed as (
      select tenant, sum(load) as load, count(*)::int as writers
      from writer_rates r join writers w using (writer_id),
        unnest(r.demand_tenants, r.demands) as u(tenant, load)
      where w.expires_at > now()
      group by tenant
      having count(*) > 1 and sum(load) >= ${DEMAND_SUMMED_MIN}::float8
      order by sum(load) desc, tenant collate "C" limit ${TENANTS_MAX}::int
    ), next as (
      select coalesce(array_agg(tenant order by tenant collate "C"), '{}') as tenants,
        coalesce(array_agg(load order by tenant collate "C"), '{}') as loads,
        coalesce(array_agg(writers order by tenant collate "C"), '{}') as writers
      from summed
    )
    insert into tenant_demands as d (tenants, loads, writers)
    select tenants, loads, writers from next, lease
    on conflict (is_only) do update set tenants = excluded.tenants, loads = excluded.loads, writers = excluded.writers
      where (d.tenants, d.loads, d.writers) is distinct from (excluded.tenants, excluded.loads, excluded.writers)`
}

/**
 * Of the tenants that a writer tells of now, before it has told them: what it told last is in the sums. Undefined: nobody
 * has summed yet.
 */
export async function selectOthers(
  sql: SqlSession,
  { writerId, demands }: Pick<RegisterWriterRequest, 'writerId' | 'demands'>,
): Promise<OtherWritersLoad[] | undefined> {
  if (demands.length === 0) return []
  const rows = await sql<{ tenant: string | null; load: number; writers: number }[]>`
    with summed as materialized (
      select u.* from tenant_demands, unnest(tenants, loads, writers) as u(tenant, load, writers)
      where u.tenant = any(${demands.map(({ tenant }) => tenant)}::text[])
    ), own as materialized (
      select u.* from writer_rates, unnest(demand_tenants, demands) as u(tenant, load)
      where writer_id = ${writerId}::text
    )
    select null as tenant, 0::float8 as load, 0 as writers from tenant_demands
    union all
    select s.tenant, greatest(0, s.load - coalesce(o.load, 0)), s.writers + case when o.tenant is null then 1 else 0 end
    from summed s left join own o using (tenant)`
  if (rows.length === 0) return undefined
  return rows.flatMap(({ tenant, load, writers }) => (tenant === null ? [] : [{ tenant, load, writers }]))
}
