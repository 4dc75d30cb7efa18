/** Settings of the query-frontend, from the environment (Bun) or the bindings (workers). */
import * as v from 'valibot'
import type { TenantLimits } from '#core/limits/limits.ts'
import { type Env, pickSettings } from '#platform/env.ts'
import { pathPrefixSchema } from '#platform/http/path-prefix.ts'
import { readLimits } from '#platform/limits-setting.ts'
import { parseSettings, portSchema, urlSchema } from '#platform/settings.ts'

const NAMES = [
  'PORT',
  'HOST',
  'METASTORE_URL',
  'QUERY_BACKEND_URL',
  'CINDER_MULTITENANCY',
  'CINDER_LIMITS',
  'CINDER_LIMITS_FILE',
  'CINDER_PATH_PREFIX',
] as const

/** Each frontend asks every one: past this, put a balancer in front. */
const BACKENDS_MAX = 64

/** One URL, or several separated by commas. */
const backendsSchema = v.pipe(
  v.string(),
  v.check(
    (text) => urlsOf(text).every((url) => URL.canParse(url)),
    'a URL such as http://127.0.0.1:4043, or several with commas',
  ),
  v.check((text) => urlsOf(text).length <= BACKENDS_MAX, `at most ${BACKENDS_MAX} URLs`),
  v.check((text) => new Set(urlsOf(text)).size === urlsOf(text).length, 'each URL once'),
  v.transform(urlsOf),
)

function urlsOf(text: string): string[] {
  return text.split(',').map((url) => url.trim())
}

const schema = v.object({
  PORT: v.optional(portSchema, '4045'),
  HOST: v.optional(v.string(), '127.0.0.1'),
  METASTORE_URL: urlSchema,
  QUERY_BACKEND_URL: backendsSchema,
  CINDER_MULTITENANCY: v.optional(v.picklist(['true', 'false'], 'true or false'), 'false'),
  CINDER_LIMITS: v.optional(v.string(), '{}'),
  CINDER_LIMITS_FILE: v.optional(v.string()),
  CINDER_PATH_PREFIX: pathPrefixSchema,
})

export interface QueryFrontendConfig {
  readonly port: number
  readonly host: string
  readonly metastoreUrl: string
  /** At least one. */
  readonly queryBackendUrls: readonly string[]
  readonly multitenancy: boolean
  readonly limits: TenantLimits
  /** Of tenants; where there are files. */
  readonly limitsFile: string | undefined
  /** In front of all paths, where a proxy leaves it there. */
  readonly pathPrefix: string | undefined
}

/** Fails with one sentence that names the setting. */
export function readConfig(env: Env): QueryFrontendConfig {
  const settings = parseSettings(schema, pickSettings(env, NAMES))
  return {
    port: settings.PORT,
    host: settings.HOST,
    metastoreUrl: settings.METASTORE_URL,
    queryBackendUrls: settings.QUERY_BACKEND_URL,
    multitenancy: settings.CINDER_MULTITENANCY === 'true',
    limits: readLimits(settings.CINDER_LIMITS),
    limitsFile: settings.CINDER_LIMITS_FILE,
    pathPrefix: settings.CINDER_PATH_PREFIX,
  }
}
