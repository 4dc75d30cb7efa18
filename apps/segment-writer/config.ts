/** Settings of the segment-writer process, from the environment, checked once. */
import * as v from 'valibot'
import type { TenantLimits } from '#core/limits/limits.ts'
import { type Env, pickSettings } from '#platform/env.ts'
import { readLimits } from '#platform/limits-setting.ts'
import { parseSettings, portSchema, urlSchema } from '#platform/settings.ts'

const schema = v.object({
  PORT: v.optional(portSchema, '4042'),
  HOST: v.optional(v.string(), '127.0.0.1'),
  METASTORE_URL: urlSchema,
  STORAGE_URL: v.string(),
  CINDER_LIMITS: v.optional(v.string(), '{}'),
})

export interface SegmentWriterConfig {
  readonly port: number
  readonly host: string
  readonly metastoreUrl: string
  readonly storageUrl: string
  readonly limits: TenantLimits
}

/** Fails with one sentence that names the setting. */
export function readConfig(env: Env): SegmentWriterConfig {
  const names = ['PORT', 'HOST', 'METASTORE_URL', 'STORAGE_URL', 'CINDER_LIMITS'] as const
  const settings = parseSettings(schema, pickSettings(env, names))
  return {
    port: settings.PORT,
    host: settings.HOST,
    metastoreUrl: settings.METASTORE_URL,
    storageUrl: settings.STORAGE_URL,
    limits: readLimits(settings.CINDER_LIMITS),
  }
}
