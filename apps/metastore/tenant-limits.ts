/** Limits of tenants over Postgres: every change is checked as a limits file is, before it is a row. */
import { invalidArgument } from '#core/errors.ts'
import { parseLimits } from '#core/limits/limits.ts'
import type { LimitOverrides } from '#core/rpc/tenant-limits.ts'
import type { Sql } from '#db/client.ts'
import { withSqlErrors } from '#db/errors.ts'
import { changeOverrides, selectOverrides } from '#db/sql/tenant-limits.ts'

/** Readers hold all of them; a fleet with more has classes of tenants, which a file names. */
const TENANTS_MAX = 10_000
/** As for the header. */
const TENANT_CHARS_MAX = 150

type Json = Record<string, unknown>

export function createLimitOverrides({ sql }: { readonly sql: Sql }): LimitOverrides {
  return {
    async listOverrides({ generation: known }) {
      const { generation, tenants } = await withSqlErrors('list limits', () => selectOverrides(sql, known))
      return { generation, changed: generation !== known, tenants }
    },
    async changeLimits({ tenant, changes }) {
      if (tenant === '' || tenant.length > TENANT_CHARS_MAX)
        throw invalidArgument(`a tenant has 1 to ${TENANT_CHARS_MAX} characters`, 'tenant_id')
      const wanted = parseObject(changes)
      const merge = (before: string | undefined, tenants: number) => {
        if (before === undefined && tenants >= TENANTS_MAX)
          throw invalidArgument(`${tenants} tenants have limits of their own, ${TENANTS_MAX} are allowed`, 'tenants')
        return merged(before === undefined ? {} : parseObject(before), wanted)
      }
      return { overrides: await withSqlErrors('change limits', () => changeOverrides(sql, tenant, merge)) }
    },
  }
}

function merged(before: Json, changes: Json): string {
  const after: Json = { ...before, ...changes }
  for (const [name, value] of Object.entries(changes)) {
    // The name of a limit that never was is a typing error, also where it is taken back.
    if (value === null && !(name in before)) parseLimits({ [name]: 0 })
    if (value === null) delete after[name]
  }
  parseLimits(after)
  return JSON.stringify(after)
}

function parseObject(text: string): Json {
  try {
    const json: unknown = JSON.parse(text)
    if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json as Json
  } catch {
    // Said below.
  }
  throw invalidArgument('changes of limits are a JSON object of limit names and values', 'invalid_limits')
}
