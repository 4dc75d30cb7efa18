/** Settings of tenants over Postgres. */
import type { TenantSettings } from '#core/rpc/tenant-settings.ts'
import type { Sql } from '#db/client.ts'
import { withSqlErrors } from '#db/errors.ts'
import { deleteSetting, selectSettings, writeSetting } from '#db/sql/tenant-settings.ts'

export function createTenantSettings({ sql }: { readonly sql: Sql }): TenantSettings {
  return {
    async listSettings({ tenant }) {
      return { settings: await withSqlErrors('list settings', () => selectSettings(sql, tenant)) }
    },
    setSetting: (request) => withSqlErrors('set setting', () => writeSetting(sql, request)),
    async deleteSetting({ tenant, name }) {
      return { found: await withSqlErrors('delete setting', () => deleteSetting(sql, tenant, name)) }
    },
  }
}
