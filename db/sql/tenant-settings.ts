/** Settings of tenants: read whole by tenant (a tenant has few), written one at a time under the lock of its tenant. */
import type { SetSettingRequest, SetSettingResponse, TenantSetting } from '#core/rpc/tenant-settings.ts'
import type { Sql, SqlSession } from '../client.ts'

const columnsOf = (sql: SqlSession) => sql`name, value, modified_at_ms::float8 as "modifiedAtMs"`

export async function selectSettings(sql: SqlSession, tenant: string): Promise<TenantSetting[]> {
  return await sql<TenantSetting[]>`
    select ${columnsOf(sql)} from tenant_settings where tenant = ${tenant}::text order by name`
}

/** `conflict` and `full` write nothing. */
export async function writeSetting(
  sql: Sql,
  { tenant, setting, settingsMax }: SetSettingRequest,
): Promise<SetSettingResponse> {
  const { name, value, modifiedAtMs } = setting
  return await sql.begin(async (tx): Promise<SetSettingResponse> => {
    // Two first settings at once must not both find room.
    await tx`select pg_advisory_xact_lock(hashtextextended(${`settings of ${tenant}`}::text, 0))`
    const before = await selectSettings(tx, tenant)
    const known = before.find((each) => each.name === name)
    if (known !== undefined && known.modifiedAtMs > modifiedAtMs) return { verdict: 'conflict', setting: known }
    if (known === undefined && before.length >= settingsMax) return { verdict: 'full' }
    const [written] = await tx<TenantSetting[]>`
      insert into tenant_settings (tenant, name, value, modified_at_ms)
      values (${tenant}::text, ${name}::text, ${value}::text, ${modifiedAtMs}::bigint)
      on conflict (tenant, name) do update set
        value = excluded.value, modified_at_ms = excluded.modified_at_ms, changed_at = now()
      returning ${columnsOf(tx)}`
    return { verdict: 'stored', setting: written! }
  })
}

export async function deleteSetting(sql: SqlSession, tenant: string, name: string): Promise<boolean> {
  const rows = await sql`
    delete from tenant_settings where tenant = ${tenant}::text and name = ${name}::text returning name`
  return rows.length === 1
}
