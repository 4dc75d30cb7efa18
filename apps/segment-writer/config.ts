/** Settings of the segment-writer process, from the environment, checked once. */
import * as v from 'valibot'
import type { TenantLimits } from '#core/limits/limits.ts'
import { type Env, pickSettings } from '#platform/env.ts'
import { readLimits } from '#platform/limits-setting.ts'
import { parseSettings, portSchema, urlSchema } from '#platform/settings.ts'
import { JOURNAL_MODES, type JournalMode } from './journal.ts'
import { THREADS_MAX } from './shards.ts'

const NAMES = [
  'PORT',
  'HOST',
  'METASTORE_URL',
  'STORAGE_URL',
  'CINDER_LIMITS',
  'CINDER_LIMITS_FILE',
  'CINDER_WRITER_THREADS',
  'CINDER_JOURNAL',
  'CINDER_PUTS_PER_SECOND',
  'CINDER_ADVERTISE_URL',
] as const

/** Undefined = by cores. */
export const threadsSchema = v.optional(
  v.pipe(
    v.string(),
    v.regex(/^\d{1,3}$/, `a number of threads from 0 to ${THREADS_MAX}`),
    v.transform(Number),
    v.maxValue(THREADS_MAX, `a number of threads from 0 to ${THREADS_MAX}`),
  ),
)

/** Every four seconds an object is the least that answers pushes well within their deadline of eight. */
const PUTS_PER_SECOND_MIN = 0.25
const PUTS_PER_SECOND_MAX = 1_000
const PUTS_PER_SECOND = `0 (no limit), or objects per second from ${PUTS_PER_SECOND_MIN} to ${PUTS_PER_SECOND_MAX}`

/** Undefined = by the kind of store. */
export const putsPerSecondSchema = v.optional(
  v.pipe(
    v.string(),
    v.regex(/^\d{1,4}(\.\d{1,3})?$/, PUTS_PER_SECOND),
    v.transform(Number),
    v.check((puts) => puts === 0 || (puts >= PUTS_PER_SECOND_MIN && puts <= PUTS_PER_SECOND_MAX), PUTS_PER_SECOND),
  ),
)

export const journalSchema = v.optional(v.picklist(JOURNAL_MODES, JOURNAL_MODES.join(', ')), 'retry')

const schema = v.object({
  PORT: v.optional(portSchema, '4042'),
  HOST: v.optional(v.string(), '127.0.0.1'),
  METASTORE_URL: urlSchema,
  STORAGE_URL: v.string(),
  CINDER_LIMITS: v.optional(v.string(), '{}'),
  CINDER_LIMITS_FILE: v.optional(v.string()),
  CINDER_WRITER_THREADS: threadsSchema,
  CINDER_JOURNAL: journalSchema,
  CINDER_PUTS_PER_SECOND: putsPerSecondSchema,
  CINDER_ADVERTISE_URL: v.optional(urlSchema),
})

export interface SegmentWriterConfig {
  readonly port: number
  readonly host: string
  readonly metastoreUrl: string
  readonly storageUrl: string
  readonly limits: TenantLimits
  /** Of tenants, read again while the process runs. */
  readonly limitsFile: string | undefined
  /** Undefined = by cores. */
  readonly threads: number | undefined
  readonly journal: JournalMode
  /** Segments that the writer may PUT; 0 = no limit, undefined = by the kind of store. */
  readonly putsPerSecond: number | undefined
  /** Where distributors call it; undefined = where it listens. */
  readonly advertisedUrl: string | undefined
}

/** Fails with one sentence that names the setting. */
export function readConfig(env: Env): SegmentWriterConfig {
  const settings = parseSettings(schema, pickSettings(env, NAMES))
  return {
    port: settings.PORT,
    host: settings.HOST,
    metastoreUrl: settings.METASTORE_URL,
    storageUrl: settings.STORAGE_URL,
    limits: readLimits(settings.CINDER_LIMITS),
    limitsFile: settings.CINDER_LIMITS_FILE,
    threads: settings.CINDER_WRITER_THREADS,
    journal: settings.CINDER_JOURNAL,
    putsPerSecond: settings.CINDER_PUTS_PER_SECOND,
    advertisedUrl: settings.CINDER_ADVERTISE_URL,
  }
}
