/** Tenants whose compaction somebody switched, with the reason; the policy decides about all others. */
import type { SqlSession } from '../client.ts'

/** Each is in the text of every planning statement. */
export const TENANT_SWITCHES_MAX = 10_000

export interface TenantSwitch {
  readonly tenant: string
  readonly isEnabled: boolean
  readonly reason: string
  readonly changedAtMs: number
}

export async function selectTenantSwitches(sql: SqlSession): Promise<TenantSwitch[]> {
  const rows = await sql<{ tenant: string; is_enabled: boolean; reason: string; changed_at_ms: number }[]>`
    select tenant, is_enabled, reason, (extract(epoch from changed_at) * 1000)::float8 as changed_at_ms
    from compaction_tenants order by tenant limit ${TENANT_SWITCHES_MAX}`
  return rows.map((row) => ({
    tenant: row.tenant,
    isEnabled: row.is_enabled,
    reason: row.reason,
    changedAtMs: row.changed_at_ms,
  }))
}

/** False: there are as many as there may be. */
export async function switchTenant(
  sql: SqlSession,
  change: { readonly tenant: string; readonly isEnabled: boolean; readonly reason: string },
): Promise<boolean> {
  const { tenant, isEnabled, reason } = change
  const rows = await sql`
    insert into compaction_tenants (tenant, is_enabled, reason)
    select ${tenant}::text, ${isEnabled}::boolean, ${reason}::text
    where (select count(*) from compaction_tenants where tenant <> ${tenant}::text) < ${TENANT_SWITCHES_MAX}
    on conflict (tenant) do update set is_enabled = excluded.is_enabled, reason = excluded.reason, changed_at = now()
    returning tenant`
  return rows.length === 1
}
