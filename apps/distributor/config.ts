/** Settings of the distributor, from the environment (Bun) or the bindings (workers). */
import * as v from 'valibot'
import { invalidArgument } from '#core/errors.ts'
import { MIB } from '#core/units.ts'
import { type Env, pickSettings } from '#platform/env.ts'
import { BODY_BUDGET_BYTES_DEFAULT } from '#platform/http/body-budget.ts'
import { pathPrefixSchema } from '#platform/http/path-prefix.ts'
import { readLimits } from '#platform/limits-setting.ts'
import { parseSettings, portSchema, urlSchema } from '#platform/settings.ts'

const NAMES = [
  'PORT',
  'HOST',
  'WRITER_URL',
  'METASTORE_URL',
  'CINDER_PLACEMENT_URL',
  'REGIONAL_URL',
  'CINDER_MULTITENANCY',
  'CINDER_LIMITS',
  'CINDER_PATH_PREFIX',
] as const

const schema = v.object({
  PORT: v.optional(portSchema, '4041'),
  HOST: v.optional(v.string(), '127.0.0.1'),
  WRITER_URL: v.optional(urlSchema),
  METASTORE_URL: v.optional(urlSchema),
  CINDER_PLACEMENT_URL: v.optional(urlSchema),
  REGIONAL_URL: v.optional(urlSchema),
  CINDER_MULTITENANCY: v.optional(v.picklist(['true', 'false'], 'true or false'), 'false'),
  CINDER_LIMITS: v.optional(v.string(), '{}'),
  CINDER_PATH_PREFIX: pathPrefixSchema,
})

/** `fixed`: one address, which may balance over many. `placed`: writers by the placement table. */
export type WriterPlace =
  | { readonly kind: 'fixed'; readonly url: string }
  | { readonly kind: 'placed'; readonly tableUrl: string }

export interface DistributorConfig {
  readonly port: number
  readonly host: string
  readonly writers: WriterPlace
  readonly multitenancy: boolean
  readonly bodyLimitBytes: number
  /** All bodies in flight together. */
  readonly bodyBudgetBytes: number
  /** Where clients with larger bodies should go; undefined if nowhere. */
  readonly bodyLimitAdvice: string | undefined
  /** In front of all paths, where a proxy leaves it there. */
  readonly pathPrefix: string | undefined
}

/** A worker has 128 MB in all: the body, its inflated form and the copy that is sent must fit beside the program. */
export const EDGE_BODY_LIMIT_BYTES = 24 * MIB

/** Three bodies at the limit of a worker, or fifty of a megabyte: the rest of its 128 MB is program and copies. */
const EDGE_BODY_BUDGET_BYTES = 72 * MIB

/** Fails with one sentence that names the setting. */
export function readConfig(env: Env): DistributorConfig {
  const settings = parseSettings(schema, pickSettings(env, NAMES))
  const regional = settings.REGIONAL_URL
  return {
    port: settings.PORT,
    host: settings.HOST,
    writers: placeOf(settings),
    multitenancy: settings.CINDER_MULTITENANCY === 'true',
    bodyLimitBytes: readLimits(settings.CINDER_LIMITS).bodyLimitBytes,
    bodyBudgetBytes: BODY_BUDGET_BYTES_DEFAULT,
    bodyLimitAdvice: regional === undefined ? undefined : `send larger bodies to ${regional}`,
    pathPrefix: settings.CINDER_PATH_PREFIX,
  }
}

interface PlaceSettings {
  readonly WRITER_URL?: string | undefined
  readonly METASTORE_URL?: string | undefined
  readonly CINDER_PLACEMENT_URL?: string | undefined
}

/** A fixed address wins: it is how a fleet moves from one to the other. */
function placeOf({ WRITER_URL, METASTORE_URL, CINDER_PLACEMENT_URL }: PlaceSettings): WriterPlace {
  if (WRITER_URL !== undefined) return { kind: 'fixed', url: WRITER_URL }
  if (CINDER_PLACEMENT_URL !== undefined) return { kind: 'placed', tableUrl: CINDER_PLACEMENT_URL }
  if (METASTORE_URL !== undefined) {
    return { kind: 'placed', tableUrl: `${METASTORE_URL.replace(/\/+$/, '')}/api/v1/placement` }
  }
  throw invalidArgument(
    'setting WRITER_URL is missing: the address of a segment-writer; or METASTORE_URL, to find them all by placement',
    'bad_setting',
  )
}

/** The same on a worker: its body limit is lower whatever the setting says, and a refusal names where to go. */
export function readEdgeConfig(env: Env): DistributorConfig {
  const config = readConfig(env)
  const limitBytes = config.bodyLimitBytes
  return {
    ...config,
    bodyBudgetBytes: EDGE_BODY_BUDGET_BYTES,
    bodyLimitBytes: limitBytes > 0 ? Math.min(limitBytes, EDGE_BODY_LIMIT_BYTES) : EDGE_BODY_LIMIT_BYTES,
    bodyLimitAdvice: config.bodyLimitAdvice ?? 'send larger bodies to a regional endpoint',
  }
}
