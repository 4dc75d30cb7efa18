/**
 * Ingest policies of tenants as rows: the newest version of each is read whole (operators change few), written one at a
 * time, so that generations follow commits. Old versions go when there are more than are kept.
 */
import type { TenantPolicy } from '#core/rpc/tenant-policies.ts'
import type { Sql, SqlSession } from '../client.ts'

/** Any constant that no other advisory lock of the database has. */
const POLICIES_LOCK = 7_210_339
/** To see who changed what, and to go back: weeks of changes by hand. */
export const VERSIONS_KEPT = 20
/** Readers hold one of each; a fleet with more has classes of tenants, which a file names. */
export const POLICY_TENANTS_MAX = 10_000

/** One snapshot: rows are those of the generation. */
export async function selectPolicies(
  sql: SqlSession,
  known: number,
): Promise<{ generation: number; tenants: TenantPolicy[] }> {
  const rows = await sql<(TenantPolicy & { generation: number })[]>`
    with newest as materialized (select coalesce(max(generation), 0) as generation from tenant_policies)
    select distinct on (t.tenant) n.generation::float8 as generation, coalesce(t.tenant, '') as tenant,
      coalesce(t.policy, '') as policy, coalesce(t.version, 0)::float8 as version,
      coalesce(floor(extract(epoch from t.changed_at) * 1000), 0)::float8 as "changedAtMs"
    from newest n left join tenant_policies t on n.generation <> ${known}::bigint
    order by t.tenant, t.version desc`
  return {
    generation: rows[0]!.generation,
    tenants: rows.flatMap(({ tenant, policy, version, changedAtMs }) =>
      tenant === '' ? [] : [{ tenant, policy, version, changedAtMs }],
    ),
  }
}

/** Newest first. */
export async function selectPolicyHistory(sql: SqlSession, tenant: string): Promise<TenantPolicy[]> {
  return [
    ...(await sql<TenantPolicy[]>`
      select tenant, policy, version::float8 as version, floor(extract(epoch from changed_at) * 1000)::float8 as "changedAtMs"
      from tenant_policies where tenant = ${tenant}::text order by version desc limit ${VERSIONS_KEPT}`),
  ]
}

export type PolicyChange =
  | { readonly kind: 'changed'; readonly version: number }
  /** Another version is the newest than the caller believes. */
  | { readonly kind: 'moved'; readonly version: number }
  | { readonly kind: 'full'; readonly tenants: number }

export async function insertPolicy(
  sql: Sql,
  change: { readonly tenant: string; readonly policy: string; readonly expectedVersion: number | undefined },
): Promise<PolicyChange> {
  const { tenant, policy, expectedVersion } = change
  return (await sql.begin(async (tx): Promise<PolicyChange> => {
    await tx`select pg_advisory_xact_lock(${POLICIES_LOCK})`
    const [now] = await tx<{ version: number; tenants: number; generation: number }[]>`
      select coalesce(max(version) filter (where tenant = ${tenant}::text), 0)::float8 as version,
        count(distinct tenant)::int as tenants, coalesce(max(generation), 0)::float8 as generation
      from tenant_policies`
    const { version, tenants, generation } = now!
    if (expectedVersion !== undefined && expectedVersion !== version) return { kind: 'moved', version }
    if (version === 0 && tenants >= POLICY_TENANTS_MAX) return { kind: 'full', tenants }
    await tx`
      insert into tenant_policies (tenant, version, policy, generation)
      values (${tenant}::text, ${version + 1}::bigint, ${policy}::text, ${generation + 1}::bigint)`
    await tx`
      delete from tenant_policies where tenant = ${tenant}::text and version <= ${version + 1 - VERSIONS_KEPT}::bigint`
    return { kind: 'changed', version: version + 1 }
  })) as PolicyChange
}
