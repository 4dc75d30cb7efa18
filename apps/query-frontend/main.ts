/** The query-frontend on Bun: settings from the environment, one listener, metastore and query-backend by URL. */
import { createClock } from '#platform/clock.ts'
import { createCodec } from '#platform/codec.ts'
import { openInternal } from '#platform/connect/internal-bun.ts'
import { createAdhocClient } from '#platform/connect/adhoc-service.ts'
import { createLabelReportClient } from '#platform/connect/label-service.ts'
import { createAsyncResultClient } from '#platform/connect/async-result-service.ts'
import { createLimitsClient } from '#platform/connect/limit-service.ts'
import { createLedgerClient } from '#platform/connect/ledger-service.ts'
import { createRulesClient } from '#platform/connect/rule-service.ts'
import { createSettingsClient } from '#platform/connect/setting-service.ts'
import { createMetastoreClient, createQueryBackendClient } from '#platform/connect/services.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { withoutPathPrefix } from '#platform/http/path-prefix.ts'
import { mountReady } from '#platform/http/ready.ts'
import { serveHttp2 } from '#platform/http/serve.ts'
import { createInstruments } from '#platform/metrics/instruments.ts'
import { openLimitsFile } from '#platform/limits-file.ts'
import { openLimitRows } from '#platform/limits-rows.ts'
import { createProcessLog } from '#platform/log.ts'
import { standBehindPushes } from '#platform/niceness.ts'
import { nativeGunzip } from '#platform/native-gunzip.ts'
import { nativeGzip } from '#platform/native-gzip.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import { runProcess } from '#platform/service.ts'
import { createQueryFrontend } from './app.ts'
import { overBackends } from './block-labels.ts'
import { readConfig } from './config.ts'
import { callMetrics, openGuards } from './frontend-metrics.ts'
import { firstReachable } from './first-reachable.ts'
import { createSpreadBackend } from './spread-backend.ts'
import { webRandom } from './web-random.ts'

standBehindPushes()
const log = createProcessLog()

await runProcess(log, async (lifecycle) => {
  const config = readConfig(process.env)
  const { metastoreUrl, queryBackendUrls, host, port, multitenancy, limits, limitsFile } = config
  const { client, tokens } = openInternal(process.env)
  const anyBackend = firstReachable(queryBackendUrls, client)
  const clock = createClock()
  const instruments = createInstruments('query-frontend', clock)
  const overrides = createLimitsClient(metastoreUrl, client)
  const tenants = await openLimitRows(await openLimitsFile(limits, limitsFile, { clock, log }), {
    clock,
    log,
    overrides,
  })
  await lifecycle.add({ name: 'limits of tenants', stop: () => tenants.stop() })
  const spread = createSpreadBackend(
    queryBackendUrls.map((url) => ({ name: url, backend: createQueryBackendClient(url, client) })),
    { clock, random: webRandom, on: callMetrics(instruments.registry) },
  )
  const app = createQueryFrontend(
    {
      metastore: instruments.metastore(createMetastoreClient(metastoreUrl, client)),
      backend: instruments.queries(spread),
      ownerOf: spread.ownerOf,
      ...openGuards(clock, instruments.registry, log),
      labels: overBackends(
        queryBackendUrls.map((url) => ({ name: url, labels: createLabelReportClient(url, client) })),
      ),
      asyncResults: createAsyncResultClient(queryBackendUrls[0]!, anyBackend),
      adhoc: createAdhocClient(queryBackendUrls[0]!, anyBackend),
      rules: createRulesClient(metastoreUrl, client),
      tenantSettings: createSettingsClient(metastoreUrl, client),
      ledger: createLedgerClient(metastoreUrl, client),
      regex: createRegexCompiler(),
      clock,
      log,
      compression: codecCompression(nativeGunzip(nativeGzip(createCodec()))),
    },
    { multitenancy, limitsOf: (tenant) => tenants.limitsOf(tenant) },
  )
  mountReady(app)
  const { bodyLimitBytes } = limits
  const listener = await lifecycle.add(
    await serveHttp2({
      name: 'query-frontend',
      app,
      host,
      port,
      bodyLimitBytes,
      serve: withoutPathPrefix(instruments.serve(app, tokens), config.pathPrefix),
    }),
  )
  log.info('query-frontend ready', {
    url: listener.url,
    metastore: metastoreUrl,
    queryBackends: queryBackendUrls.join(' '),
  })
})
