/**
 * The query-frontend as the edge runs it: fetch and web streams alone, settings from bindings or an environment,
 * metastore and query-backend by URL. `main.edge.ts` serves it on workers, `main.deno.ts` on Deno.
 */
import type { Hono } from 'hono'
import { createClock } from '#platform/clock.ts'
import { openEdgeInternal } from '#platform/connect/internal-edge.ts'
import { createAdhocClient } from '#platform/connect/adhoc-service.ts'
import { createRulesClient } from '#platform/connect/rule-service.ts'
import { createMetastoreClient, createQueryBackendClient } from '#platform/connect/services.ts'
import type { Env } from '#platform/env.ts'
import { webCompression } from '#platform/http/body-compression.ts'
import { mountReady } from '#platform/http/ready.ts'
import { createLog } from '#platform/log.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import { createQueryFrontend } from './app.ts'
import { readConfig } from './config.ts'

export function composeEdge(env: Env): Hono {
  const { metastoreUrl, queryBackendUrl, multitenancy, limits } = readConfig(env)
  const client = openEdgeInternal(env)
  const clock = createClock()
  // oxlint-disable-next-line no-console -- a worker has no other output
  const log = createLog({ isTerminal: false, nowMs: () => clock.nowMs(), write: (line) => console.log(line) })
  const composed = createQueryFrontend(
    {
      metastore: createMetastoreClient(metastoreUrl, client),
      backend: createQueryBackendClient(queryBackendUrl, client),
      adhoc: createAdhocClient(queryBackendUrl, client),
      rules: createRulesClient(metastoreUrl, client),
      regex: createRegexCompiler(),
      clock,
      log,
      compression: webCompression,
    },
    { multitenancy, limitsOf: () => limits },
  )
  mountReady(composed)
  return composed
}
