/**
 * Tenants of a request, from `X-Scope-OrgID`.
 *
 * Off (the default): the header is ignored and everybody is `anonymous`. On: the header is required; reads may name
 * several tenants joined by `|` (sorted, unique), writes exactly one. A tenant id becomes part of keys and rows, so
 * what is not in the list of characters is refused here and nowhere later (H76).
 */
import { CinderError } from '#core/errors.ts'

export const TENANT_HEADER = 'X-Scope-OrgID'
export const ANONYMOUS_TENANT = 'anonymous'

/** As the peers have it, so that an id that works there works here. */
const TENANT_LENGTH_MAX = 150
/** One query fans out over this many at most. */
const TENANTS_MAX = 64

export interface TenancySettings {
  readonly multitenancy: boolean
}

export function resolveTenants(headers: Headers, settings: TenancySettings): readonly string[] {
  if (!settings.multitenancy) return [ANONYMOUS_TENANT]
  const header = headers.get(TENANT_HEADER)
  if (header === null || header === '') throw unauthenticated('no org id')
  const tenants = [...new Set(header.split('|'))].sort()
  if (tenants.length > TENANTS_MAX) {
    throw unauthenticated(`${tenants.length} tenant IDs in ${TENANT_HEADER}, at most ${TENANTS_MAX} are allowed`)
  }
  for (const tenant of tenants) checkTenant(tenant)
  return tenants
}

export function resolveTenant(headers: Headers, settings: TenancySettings): string {
  const tenants = resolveTenants(headers, settings)
  if (tenants.length > 1) throw unauthenticated('multiple org IDs present')
  return tenants[0]!
}

function checkTenant(tenant: string): void {
  if (tenant === '') throw unauthenticated('no org id')
  if (tenant.length > TENANT_LENGTH_MAX) {
    throw unauthenticated(`tenant ID is too long: max ${TENANT_LENGTH_MAX} characters, got ${tenant.length}`)
  }
  const unsupported = /[^0-9A-Za-z!\-_.*'()]/u.exec(tenant)
  if (unsupported !== null) {
    throw unauthenticated(`tenant ID '${tenant}' contains unsupported character '${unsupported[0]}'`)
  }
  if (tenant === '.' || tenant === '..') throw unauthenticated("tenant ID is '.' or '..'")
}

function unauthenticated(message: string): CinderError {
  return new CinderError('unauthenticated', message, { reason: 'tenant_id' })
}
