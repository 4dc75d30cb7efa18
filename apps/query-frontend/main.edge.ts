/** The query-frontend on workers: settings come as bindings with each request and do not change while a worker lives. */
import type { Hono } from 'hono'
import { createClock } from '#platform/clock.ts'
import { createMetastoreClient, createQueryBackendClient } from '#platform/connect/services.ts'
import type { Env } from '#platform/env.ts'
import { webCompression } from '#platform/http/body-compression.ts'
import { mountReady } from '#platform/http/ready.ts'
import { createLog } from '#platform/log.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import { createQueryFrontend } from './app.ts'
import { readConfig } from './config.ts'

let app: Hono | undefined

export default {
  fetch(request: Request, env: Env): Response | Promise<Response> {
    app ??= compose(env)
    return app.fetch(request)
  },
}

function compose(env: Env): Hono {
  const { metastoreUrl, queryBackendUrl, multitenancy, limits } = readConfig(env)
  const clock = createClock()
  // oxlint-disable-next-line no-console -- a worker has no other output
  const log = createLog({ isTerminal: false, nowMs: () => clock.nowMs(), write: (line) => console.log(line) })
  const composed = createQueryFrontend(
    {
      metastore: createMetastoreClient(metastoreUrl),
      backend: createQueryBackendClient(queryBackendUrl),
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
