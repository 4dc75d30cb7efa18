/** Settings of the query-backend process, from its environment. */
import * as v from 'valibot'
import { type Env, pickSettings } from '#platform/env.ts'
import { parseSettings, portSchema } from '#platform/settings.ts'
import { QUERY_EXECUTION_NAMES, type QueryExecution, queryExecutionEntries, readQueryExecution } from './execution.ts'

const schema = v.object({
  PORT: v.optional(portSchema, '4043'),
  HOST: v.optional(v.string(), '127.0.0.1'),
  STORAGE_URL: v.string(),
  ...queryExecutionEntries,
})

export interface QueryBackendConfig {
  readonly port: number
  readonly host: string
  readonly storageUrl: string
  readonly execution: QueryExecution
}

export function readConfig(env: Env): QueryBackendConfig {
  const settings = parseSettings(schema, pickSettings(env, ['PORT', 'HOST', 'STORAGE_URL', ...QUERY_EXECUTION_NAMES]))
  return {
    port: settings.PORT,
    host: settings.HOST,
    storageUrl: settings.STORAGE_URL,
    execution: readQueryExecution(settings),
  }
}
