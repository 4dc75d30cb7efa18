/**
 * Limits and ingest policies of all tenants, put together from layers: what holds for everybody, then what a tenant has of
 * its own. A layer is JSON, of a file or of rows:
 *
 *   {"defaults": {"maxSamples": 32000, "ingest": {…}}, "tenants": {"payments": {"ingestionRateBytes": 0}}}
 *
 * 1. Limits: the process' own, then the defaults of each layer, then the tenant's entries, each over the one before.
 * 2. The policy (`ingest`, core/ingest/policy.ts) of a tenant replaces that of the defaults as a whole.
 * Immutable: a change makes a new one. Objects that `limitsOf` gives are the same for the life of the settings.
 */
import { invalidArgument } from '../errors.ts'
import { parsePolicy } from './policy.ts'
import { DEFAULT_LIMITS, parseLimits, type TenantLimits } from '../limits/limits.ts'

type Json = Readonly<Record<string, unknown>>

export interface SettingsLayer {
  readonly defaults: Json
  readonly tenants: ReadonlyMap<string, Json>
}

export interface TenantSettings {
  limitsOf(tenant: string): TenantLimits
  /** JSON that was checked; undefined = the default policy. */
  policyOf(tenant: string): string | undefined
}

/** Each costs about a kilobyte. */
export const TENANTS_MAX = 100_000

/** Checks every entry. Throws `invalid_argument` that names the tenant and the key. */
export function parseSettingsLayer(json: unknown): SettingsLayer {
  const { defaults = {}, tenants = {}, ...rest } = objectOf(json, 'the settings of tenants')
  const unknown = Object.keys(rest)[0]
  if (unknown !== undefined) throw bad(`unknown key ${unknown}; known are defaults, tenants`)
  const layer = { defaults: objectOf(defaults, 'defaults'), tenants: new Map<string, Json>() }
  checkEntry(layer.defaults, 'defaults')
  const entries = Object.entries(objectOf(tenants, 'tenants'))
  if (entries.length > TENANTS_MAX) throw bad(`${entries.length} tenants, ${TENANTS_MAX} are allowed`)
  for (const [tenant, entry] of entries) {
    const own = objectOf(entry, `tenants.${tenant}`)
    checkEntry(own, `tenants.${tenant}`)
    layer.tenants.set(tenant, own)
  }
  return layer
}

function checkEntry({ ingest, ...limits }: Json, where: string): void {
  try {
    parseLimits(limits)
    if (ingest !== undefined) parsePolicy(ingest)
  } catch (error) {
    throw bad(`${where}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** Later layers count before earlier ones. Layers were checked. */
export function composeSettings(
  base: TenantLimits = DEFAULT_LIMITS,
  layers: readonly SettingsLayer[] = [],
): TenantSettings {
  const common = settingOf(
    { limits: base, policy: undefined },
    layers.map(({ defaults }) => defaults),
  )
  const own = new Map<string, Setting>()
  for (const { tenants } of layers) {
    for (const tenant of tenants.keys()) {
      if (own.has(tenant)) continue
      const entries = layers.map((layer) => layer.tenants.get(tenant) ?? {})
      own.set(tenant, settingOf(common, entries))
    }
  }
  return {
    limitsOf: (tenant) => (own.get(tenant) ?? common).limits,
    policyOf: (tenant) => (own.get(tenant) ?? common).policy,
  }
}

interface Setting {
  readonly limits: TenantLimits
  readonly policy: string | undefined
}

function settingOf(base: Setting, entries: readonly Json[]): Setting {
  let { limits, policy } = base
  for (const { ingest, ...overrides } of entries) {
    limits = parseLimits(overrides, limits)
    if (ingest !== undefined) policy = JSON.stringify(ingest)
  }
  return { limits, policy }
}

function objectOf(value: unknown, what: string): Json {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json
  throw bad(`${what} is not an object`)
}

function bad(message: string): Error {
  return invalidArgument(message, 'invalid_limits')
}
