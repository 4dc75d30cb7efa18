/**
 * Operational pages that dashboards and people of the peers open: what this is (`buildinfo`), and which limits count, as
 * YAML. They show limits and switches alone: addresses and secrets stay out.
 */
import type { Hono } from 'hono'
import { CinderError } from '#core/errors.ts'
import { DEFAULT_LIMITS, type TenantLimits } from '#core/limits/limits.ts'
import { errorResponse } from '#platform/http/errors.ts'
import { resolveTenants } from '#platform/http/tenant.ts'
import { VERSION } from '#platform/version.ts'

export interface StatusPageSettings {
  readonly multitenancy: boolean
  readonly limitsOf: (tenant: string) => TenantLimits
}

/** Stands for a tenant without limits of its own: no tenant can be named so. */
const NOBODY = ''

export function mountStatusPages(app: Hono, settings: StatusPageSettings): void {
  const { multitenancy, limitsOf } = settings
  for (const path of ['/api/v1/status/buildinfo', '/buildinfo']) app.get(path, () => Response.json(buildInfo()))
  app.get('/api/v1/status/config', () => yaml(configLines(multitenancy, limitsOf(NOBODY))))
  app.get('/api/v1/status/config/default', () => yaml(configLines(false, DEFAULT_LIMITS)))
  app.get('/api/v1/status/config/diff', () => {
    const switched = multitenancy ? ['multitenancy_enabled: true'] : []
    return yaml([...switched, ...section('limits', differing(limitsOf(NOBODY)))])
  })
  // Of the tenants that the request names: the peers list all, and so tell everybody whom to ask as. `mode=diff` is the same,
  // because what a tenant does not change is not listed.
  app.get('/runtime_config', ({ req }) => {
    try {
      return yaml(section('overrides', overrideLines(settings, resolveTenants(req.raw.headers, settings))))
    } catch (error) {
      if (!(error instanceof CinderError)) throw error
      return error.kind === 'unauthenticated' ? yaml(section('overrides', [])) : errorResponse(error)
    }
  })
  app.get('/api/v1/tenant_limits', ({ req }) => {
    try {
      const [tenant, ...others] = resolveTenants(req.raw.headers, settings)
      if (others.length > 0) throw new CinderError('invalid_argument', 'multiple org IDs present')
      return yaml(limitLines(limitsOf(tenant!)))
    } catch (error) {
      if (!(error instanceof CinderError)) throw error
      // The peers have this page for requests with a tenant alone.
      if (error.kind !== 'unauthenticated') return errorResponse(error)
      return Response.json({ code: 5, message: 'Not Found', details: [] }, { status: 404 })
    }
  })
}

function buildInfo() {
  const versions = (globalThis as { process?: { versions?: Record<string, string | undefined> } }).process?.versions
  const runtime = ['bun', 'deno', 'node'].find((name) => versions?.[name] !== undefined)
  const data = {
    version: VERSION,
    revision: '',
    branch: '',
    buildUser: '',
    buildDate: '',
    // Dashboards show it as text.
    goVersion: runtime === undefined ? 'workers' : `${runtime} ${versions![runtime]!}`,
  }
  return { status: 'success', data }
}

function configLines(multitenancy: boolean, limits: TenantLimits): string[] {
  return [`multitenancy_enabled: ${multitenancy}`, ...section('limits', limitLines(limits))]
}

function section(name: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [`${name}: {}`] : [`${name}:`, ...lines.map((line) => `  ${line}`)]
}

function overrideLines({ limitsOf }: StatusPageSettings, tenants: readonly string[]): string[] {
  const common = limitsOf(NOBODY)
  return tenants.flatMap((tenant) => {
    const lines = differing(limitsOf(tenant), common)
    return lines.length === 0 ? [] : section(JSON.stringify(tenant), lines)
  })
}

function differing(limits: TenantLimits, from: TenantLimits = DEFAULT_LIMITS): string[] {
  const common = new Set(limitLines(from))
  return limitLines(limits).filter((line) => !common.has(line))
}

/** `max_profile_size_bytes: 4194304`, by name. */
function limitLines(limits: TenantLimits): string[] {
  return Object.entries(limits)
    .map(([name, value]) => `${name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}: ${value}`)
    .sort()
}

function yaml(lines: readonly string[]): Response {
  const headers = { 'Content-Type': 'text/plain; charset=utf-8' }
  return new Response(`${lines.join('\n')}\n`, { headers })
}
