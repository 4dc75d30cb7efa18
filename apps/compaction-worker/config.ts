/** Settings of the compaction-worker process, from the environment, checked once. */
import * as v from 'valibot'
import { type Env, pickSettings } from '#platform/env.ts'
import { parseSettings, portSchema, urlSchema } from '#platform/settings.ts'
import { JOB_BUDGET_BYTES } from './run-job.ts'

const schema = v.object({
  PORT: v.optional(portSchema, '4044'),
  HOST: v.optional(v.string(), '127.0.0.1'),
  METASTORE_URL: urlSchema,
  STORAGE_URL: v.string(),
})

export interface CompactionWorkerConfig {
  readonly port: number
  readonly host: string
  readonly metastoreUrl: string
  readonly storageUrl: string
}

/** Fails with one sentence that names the setting. */
export function readConfig(env: Env): CompactionWorkerConfig {
  const settings = parseSettings(schema, pickSettings(env, ['PORT', 'HOST', 'METASTORE_URL', 'STORAGE_URL']))
  return {
    port: settings.PORT,
    host: settings.HOST,
    metastoreUrl: settings.METASTORE_URL,
    storageUrl: settings.STORAGE_URL,
  }
}

/** 80 %: the rest is code, buffers of requests, and a heap that is collected now and then. */
const MEMORY_FOR_JOBS = 0.8

/** Jobs at once: one a core, as far as the memory of the machine or the container holds their budgets. */
export function workerCapacity(cores: number, memoryBytes: number): number {
  return Math.max(1, Math.min(cores, Math.floor((memoryBytes * MEMORY_FOR_JOBS) / JOB_BUDGET_BYTES)))
}
