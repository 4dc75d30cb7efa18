/**
 * The query-frontend as the edge runs it: fetch and web streams alone, settings from bindings or an environment,
 * metastore and query-backend by URL. `main.edge.ts` serves it on workers, `main.deno.ts` on Deno.
 */
import { ADMISSION_EDGE } from '#core/query/admission.ts'
import { seedTables } from '#core/wire/table-hash.ts'
import { createClock } from '#platform/clock.ts'
import { openEdgeInternal } from '#platform/connect/internal-edge.ts'
import { createAdhocClient } from '#platform/connect/adhoc-service.ts'
import { createLabelReportClient } from '#platform/connect/label-service.ts'
import { createAsyncResultClient } from '#platform/connect/async-result-service.ts'
import { createLedgerClient } from '#platform/connect/ledger-service.ts'
import { createRulesClient } from '#platform/connect/rule-service.ts'
import { createSettingsClient } from '#platform/connect/setting-service.ts'
import { createMetastoreClient, createQueryBackendClient } from '#platform/connect/services.ts'
import { invalidArgument } from '#core/errors.ts'
import type { Env } from '#platform/env.ts'
import { webCompression } from '#platform/http/body-compression.ts'
import type { Fetch } from '#platform/http/metrics.ts'
import { withoutPathPrefix } from '#platform/http/path-prefix.ts'
import { mountReady } from '#platform/http/ready.ts'
import { createLog } from '#platform/log.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import { AdmissionGate } from './admission-gate.ts'
import { createQueryFrontend } from './app.ts'
import { overBackends } from './block-labels.ts'
import { readConfig } from './config.ts'
import { firstReachable } from './first-reachable.ts'
import { createSpreadBackend } from './spread-backend.ts'
import { webRandom } from './web-random.ts'

/** `runsOn`: the process goes on after an answer, which workers do not. */
export function composeEdge(env: Env, { runsOn } = { runsOn: false }): { readonly fetch: Fetch } {
  seedTables(webRandom)
  const { metastoreUrl, queryBackendUrls, multitenancy, limits, limitsFile, pathPrefix } = readConfig(env)
  if (limitsFile !== undefined)
    throw invalidArgument('CINDER_LIMITS_FILE needs a runtime with files: use CINDER_LIMITS', 'bad_setting')
  const client = openEdgeInternal(env)
  const anyBackend = firstReachable(queryBackendUrls, client)
  const clock = createClock()
  // oxlint-disable-next-line no-console -- a worker has no other output
  const log = createLog({ isTerminal: false, nowMs: () => clock.nowMs(), write: (line) => console.log(line) })
  const backend = createSpreadBackend(
    queryBackendUrls.map((url) => ({ name: url, backend: createQueryBackendClient(url, client) })),
    { clock, random: webRandom },
  )
  const composed = createQueryFrontend(
    {
      metastore: createMetastoreClient(metastoreUrl, client),
      backend,
      ownerOf: backend.ownerOf,
      admission: new AdmissionGate(ADMISSION_EDGE, clock),
      labels: overBackends(
        queryBackendUrls.map((url) => ({ name: url, labels: createLabelReportClient(url, client) })),
      ),
      asyncResults: runsOn ? createAsyncResultClient(queryBackendUrls[0]!, anyBackend) : undefined,
      adhoc: createAdhocClient(queryBackendUrls[0]!, anyBackend),
      rules: createRulesClient(metastoreUrl, client),
      tenantSettings: createSettingsClient(metastoreUrl, client),
      ledger: createLedgerClient(metastoreUrl, client),
      regex: createRegexCompiler(),
      clock,
      log,
      compression: webCompression,
    },
    { multitenancy, limitsOf: () => limits },
  )
  mountReady(composed)
  return { fetch: withoutPathPrefix((request) => composed.fetch(request), pathPrefix) }
}
