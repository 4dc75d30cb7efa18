/** Settings of the all-in-one process, from its environment. Every one has a default. */
import { join, resolve } from 'node:path'
import * as v from 'valibot'
import type { JobQueuePolicy } from '#core/compaction/policy.ts'
import type { TenantLimits } from '#core/limits/limits.ts'
import { readCompaction } from '#platform/compaction-setting.ts'
import { type Env, pickSettings } from '#platform/env.ts'
import { pathPrefixSchema } from '#platform/http/path-prefix.ts'
import { readLimits } from '#platform/limits-setting.ts'
import { resolveStorageUrl } from '#platform/object-store/open-store.ts'
import { readRetention, RETENTION_NAMES, type RetentionSettings } from '#platform/retention-setting.ts'
import { parseSettings, portSchema } from '#platform/settings.ts'
import {
  QUERY_EXECUTION_NAMES,
  type QueryExecution,
  queryExecutionEntries,
  readQueryExecution,
} from '../query-backend/execution.ts'
import { journalSchema, putsPerSecondSchema, threadsSchema } from '../segment-writer/config.ts'
import type { JournalMode } from '../segment-writer/journal.ts'

const NAMES = [
  'PORT',
  'HOST',
  'CINDER_DATA_DIR',
  'DATABASE_URL',
  'DATABASE_DIRECT_URL',
  'STORAGE_URL',
  'CINDER_MULTITENANCY',
  'CINDER_LIMITS',
  'CINDER_LIMITS_FILE',
  'CINDER_WRITER_THREADS',
  'CINDER_JOURNAL',
  'CINDER_PUTS_PER_SECOND',
  'CINDER_COMPACTION',
  'CINDER_PATH_PREFIX',
  ...RETENTION_NAMES,
  ...QUERY_EXECUTION_NAMES,
] as const

const schema = v.object({
  PORT: v.optional(portSchema, '4040'),
  HOST: v.optional(v.string(), '127.0.0.1'),
  CINDER_DATA_DIR: v.optional(v.string(), './data'),
  DATABASE_URL: v.optional(
    v.pipe(v.string(), v.regex(/^postgres(ql)?:\/\//, 'a URL such as postgres://user:password@host:5432/name')),
  ),
  DATABASE_DIRECT_URL: v.optional(
    v.pipe(v.string(), v.regex(/^postgres(ql)?:\/\//, 'a URL such as postgres://user:password@host:5432/name')),
  ),
  STORAGE_URL: v.optional(v.string()),
  CINDER_MULTITENANCY: v.optional(v.picklist(['true', 'false'], 'true or false'), 'false'),
  CINDER_LIMITS: v.optional(v.string(), '{}'),
  CINDER_LIMITS_FILE: v.optional(v.string()),
  CINDER_WRITER_THREADS: threadsSchema,
  CINDER_JOURNAL: journalSchema,
  CINDER_PUTS_PER_SECOND: putsPerSecondSchema,
  CINDER_COMPACTION: v.optional(v.string()),
  CINDER_PATH_PREFIX: pathPrefixSchema,
  CINDER_RETENTION: v.optional(v.string()),
  CINDER_DELETION_DELAY: v.optional(v.string()),
  ...queryExecutionEntries,
})

export interface AllInOneConfig {
  readonly port: number
  readonly host: string
  /** Absolute. */
  readonly dataDir: string
  /** Undefined = the embedded Postgres. */
  readonly databaseUrl: string | undefined
  /** Where databaseUrl is a pooler: past it, for LISTEN and migrations. */
  readonly databaseDirectUrl: string | undefined
  /** A directory, absolute, or s3://. */
  readonly storageUrl: string
  readonly isMultitenant: boolean
  readonly limits: TenantLimits
  /** Of tenants, read again while the process runs. */
  readonly limitsFile: string | undefined
  /** Undefined = by cores. */
  readonly writerThreads: number | undefined
  /** Of commits that Postgres does not answer. */
  readonly journal: JournalMode
  /** Segments that the writer may PUT; 0 = no limit, undefined = by the kind of store. */
  readonly putsPerSecond: number | undefined
  readonly retention: RetentionSettings
  /** Of the queue of compaction, where it differs from the defaults. */
  readonly compaction: Partial<JobQueuePolicy>
  readonly queryExecution: QueryExecution
  /** In front of all paths, where a proxy leaves it there. */
  readonly pathPrefix: string | undefined
}

export function readConfig(env: Env): AllInOneConfig {
  const settings = parseSettings(schema, pickSettings(env, NAMES))
  const dataDir = resolve(settings.CINDER_DATA_DIR)
  return {
    port: settings.PORT,
    host: settings.HOST,
    dataDir,
    databaseUrl: settings.DATABASE_URL,
    databaseDirectUrl: settings.DATABASE_DIRECT_URL,
    storageUrl: settings.STORAGE_URL === undefined ? join(dataDir, 'objects') : resolveStorageUrl(settings.STORAGE_URL),
    isMultitenant: settings.CINDER_MULTITENANCY === 'true',
    limits: readLimits(settings.CINDER_LIMITS),
    limitsFile: settings.CINDER_LIMITS_FILE,
    writerThreads: settings.CINDER_WRITER_THREADS,
    journal: settings.CINDER_JOURNAL,
    putsPerSecond: settings.CINDER_PUTS_PER_SECOND,
    retention: readRetention(settings),
    compaction: readCompaction(settings.CINDER_COMPACTION),
    queryExecution: readQueryExecution(settings),
    pathPrefix: settings.CINDER_PATH_PREFIX,
  }
}
