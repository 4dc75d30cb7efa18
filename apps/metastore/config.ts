/** Settings of the metastore process, from the environment, checked once. */
import * as v from 'valibot'
import { invalidArgument } from '#core/errors.ts'
import { MIB } from '#core/units.ts'
import type { JobQueuePolicy } from '#core/compaction/policy.ts'
import { readCompaction } from '#platform/compaction-setting.ts'
import { pickSettings, type Env } from '#platform/env.ts'
import { resolveStorageUrl } from '#platform/object-store/open-store.ts'
import { readRetention, RETENTION_NAMES, type RetentionSettings } from '#platform/retention-setting.ts'
import { parseSettings, portSchema } from '#platform/settings.ts'

const NAMES = [
  'DATABASE_URL',
  'DATABASE_DIRECT_URL',
  'STORAGE_URL',
  'PORT',
  'HOST',
  'CINDER_COMPACTION',
  ...RETENTION_NAMES,
] as const

const schema = v.object({
  DATABASE_URL: v.string(),
  DATABASE_DIRECT_URL: v.optional(v.string()),
  STORAGE_URL: v.optional(v.string()),
  CINDER_COMPACTION: v.optional(v.string()),
  CINDER_RETENTION: v.optional(v.string()),
  CINDER_DELETION_DELAY: v.optional(v.string()),
  PORT: v.optional(portSchema, '4046'),
  HOST: v.optional(v.string(), '127.0.0.1'),
})

export interface MetastoreConfig {
  readonly databaseUrl: string
  /** Where databaseUrl is a pooler: past it, for LISTEN and migrations. */
  readonly directUrl: string | undefined
  /** The bucket, for what a rebuild of the index must know of deleted tenants; undefined: it is not written there. */
  readonly storageUrl: string | undefined
  readonly retention: RetentionSettings
  /** Of the queue, where it differs from the defaults. */
  readonly compaction: Partial<JobQueuePolicy>
  readonly port: number
  readonly host: string
  readonly bodyLimitBytes: number
}

/** A commit of 100,000 profiles is 2 MiB; a compaction of 20,000 datasets about as much. */
const BODY_LIMIT_BYTES = 16 * MIB

/** Fails with one sentence that names the setting. */
export function readConfig(env: Env): MetastoreConfig {
  const settings = parseSettings(schema, pickSettings(env, NAMES))
  for (const name of ['DATABASE_URL', 'DATABASE_DIRECT_URL'] as const) {
    // The value is not repeated: it may hold a password.
    if (!/^postgres(ql)?:\/\//.test(settings[name] ?? 'postgres://')) {
      throw invalidArgument(`setting ${name} must begin with postgres:// or postgresql://`, 'bad_setting')
    }
  }
  return {
    databaseUrl: settings.DATABASE_URL,
    directUrl: settings.DATABASE_DIRECT_URL,
    storageUrl: settings.STORAGE_URL === undefined ? undefined : resolveStorageUrl(settings.STORAGE_URL),
    retention: readRetention(settings),
    compaction: readCompaction(settings.CINDER_COMPACTION),
    port: settings.PORT,
    host: settings.HOST,
    bodyLimitBytes: BODY_LIMIT_BYTES,
  }
}
