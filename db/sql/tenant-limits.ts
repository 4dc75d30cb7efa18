/** Limits of tenants as rows: read whole (operators change few), written one at a time, so that generations follow commits. */
import type { TenantOverrides } from '#core/rpc/tenant-limits.ts'
import type { Sql, SqlSession } from '../client.ts'

/** Any constant that no other advisory lock of the database has. */
const LIMITS_LOCK = 7_210_337

/** One snapshot: rows are those of the generation. */
export async function selectOverrides(
  sql: SqlSession,
  known: number,
): Promise<{ generation: number; tenants: TenantOverrides[] }> {
  const rows = await sql<(TenantOverrides & { generation: number })[]>`
    with newest as materialized (select coalesce(max(generation), 0) as generation from tenant_limits)
    select n.generation::float8 as generation, coalesce(t.tenant, '') as tenant, coalesce(t.overrides, '') as overrides,
      coalesce(floor(extract(epoch from t.changed_at) * 1000), 0)::float8 as "changedAtMs"
    from newest n left join tenant_limits t on n.generation <> ${known}::bigint order by t.tenant`
  return {
    generation: rows[0]!.generation,
    tenants: rows.flatMap(({ tenant, overrides, changedAtMs }) =>
      tenant === '' ? [] : [{ tenant, overrides, changedAtMs }],
    ),
  }
}

/** `change` gets what there is, and how many tenants have a row; what it throws ends it without a change. */
export async function changeOverrides(
  sql: Sql,
  tenant: string,
  change: (before: string | undefined, tenants: number) => string,
): Promise<string> {
  return (await sql.begin(async (tx) => {
    await tx`select pg_advisory_xact_lock(${LIMITS_LOCK})`
    const [known] = await tx<{ overrides: string }[]>`
      select overrides from tenant_limits where tenant = ${tenant}::text`
    const [all] = await tx<{ tenants: number; newest: number }[]>`
      select count(*)::int as tenants, coalesce(max(generation), 0)::float8 as newest from tenant_limits`
    const overrides = change(known?.overrides, all!.tenants)
    await tx`
      insert into tenant_limits (tenant, overrides, generation)
      values (${tenant}::text, ${overrides}::text, ${all!.newest + 1}::bigint)
      on conflict (tenant) do update set overrides = excluded.overrides, generation = excluded.generation, changed_at = now()`
    return overrides
  })) as string
}
