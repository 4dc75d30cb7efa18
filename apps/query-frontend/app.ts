/**
 * The query-frontend: `querier.v1.QuerierService` for Grafana and tools. It checks the request, plans with the
 * metastore, asks query-backends, merges, cuts once and answers.
 *
 * Metadata questions are answered from the metastore alone. Fetch and web streams only, so that it runs on Bun, Deno,
 * Node and workers. It keeps nothing between requests and never answers with a part of the data.
 */
import { Hono } from 'hono'
import type { TenantLimits } from '#core/limits/limits.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import type { RegexCompiler } from '#core/ports/regex.ts'
import type { Metastore } from '#core/rpc/metastore.ts'
import type { QueryBackend } from '#core/rpc/query-backend.ts'
import { type ConnectServerOptions, mountService, tenantsOf } from '#platform/connect/server.ts'
import { QuerierService } from '#platform/gen/querier/v1/querier_pb.ts'
import type { BodyCompression } from '#platform/http/body-compression.ts'
import { clientCapabilities } from '#platform/http/capabilities.ts'
import { notFoundResponse } from '#platform/http/errors.ts'
import { resolveTenants } from '#platform/http/tenant.ts'
import { type AdhocDeps, mountAdhocProfiles } from './adhoc.ts'
import { analyzeQuery } from './analyze.ts'
import { mountCompanions } from './companions.ts'
import { selectHeatmap } from './heatmap.ts'
import { answerDiff } from './diff.ts'
import { answerLabelNames, answerLabelValues, answerProfileTypes, answerSeries, answerStats } from './metadata.ts'
import { selectSeries } from './profiles.ts'
import { mountRecordingRules, type RulesDeps } from './recording-rules.ts'
import { mountRender } from './render.ts'
import type { RequestContext } from './request.ts'
import { mountStatusPages } from './status-pages.ts'
import { type CallInfo, selectMergeProfile, selectMergeSpanProfile, selectMergeStacktraces } from './stacktraces.ts'

export interface QueryFrontendDeps extends AdhocDeps, RulesDeps {
  readonly metastore: Metastore
  readonly backend: QueryBackend
  readonly regex: RegexCompiler
  readonly clock: Pick<Clock, 'nowMs'>
  readonly log: Log
  readonly compression: BodyCompression
}

export interface QueryFrontendSettings {
  readonly multitenancy: boolean
  readonly limitsOf: (tenant: string) => TenantLimits
}

/** 4 MiB: a query is a few KiB; selectors are bounded at 64 KiB each. */
const REQUEST_BODY_MAX_BYTES = 4 * 1024 * 1024

type CallContext = Parameters<typeof tenantsOf>[0] & { readonly requestHeader: Headers; readonly signal: AbortSignal }

export function createQueryFrontend(deps: QueryFrontendDeps, settings: QueryFrontendSettings): Hono {
  const app = new Hono()
  const contextOf = (call: Parameters<typeof tenantsOf>[0]): RequestContext => ({
    tenants: tenantsOf(call),
    limitsOf: settings.limitsOf,
    regex: deps.regex,
    nowMs: Math.floor(deps.clock.nowMs()),
  })
  const infoOf = ({ signal, requestHeader }: CallContext): CallInfo => ({
    signal,
    isJson: requestHeader.get('content-type')?.includes('json') ?? false,
  })
  const options: ConnectServerOptions = {
    bodyLimitBytes: REQUEST_BODY_MAX_BYTES,
    compression: deps.compression,
    log: deps.log,
    authenticate: (headers) => resolveTenants(headers, settings),
  }
  const showsUtf8 = (call: CallContext) => clientCapabilities(call.requestHeader).utf8LabelNames
  mountService(
    app,
    QuerierService,
    {
      profileTypes: (request, call) => answerProfileTypes(deps.metastore, request, contextOf(call)),
      labelValues: (request, call) => answerLabelValues(deps.metastore, request, contextOf(call)),
      labelNames: (request, call) => answerLabelNames(deps.metastore, request, contextOf(call), showsUtf8(call)),
      series: (request, call) => answerSeries(deps.metastore, request, contextOf(call), showsUtf8(call)),
      getProfileStats: (_, call) => answerStats(deps.metastore, contextOf(call)),
      selectMergeStacktraces: (request, call) => selectMergeStacktraces(deps, request, contextOf(call), infoOf(call)),
      selectMergeSpanProfile: (request, call) => selectMergeSpanProfile(deps, request, contextOf(call), infoOf(call)),
      selectMergeProfile: (request, call) => selectMergeProfile(deps, request, contextOf(call), infoOf(call)),
      selectSeries: (request, call) => selectSeries(deps, request, contextOf(call), call.signal),
      diff: (request, call) => answerDiff(deps, request, contextOf(call), call.signal),
      selectHeatmap: (request, call) => selectHeatmap(deps, request, contextOf(call), call.signal),
      analyzeQuery: (request, call) => analyzeQuery(deps.metastore, request, contextOf(call)),
    },
    options,
  )
  mountCompanions(app, options)
  mountAdhocProfiles(app, deps, options, contextOf)
  mountRecordingRules(app, deps, options, contextOf)
  mountStatusPages(app, settings)
  mountRender(app, deps, {
    multitenancy: settings.multitenancy,
    openOf: () => ({ limitsOf: settings.limitsOf, regex: deps.regex, nowMs: Math.floor(deps.clock.nowMs()) }),
    tenantsOf: (headers) => resolveTenants(headers, settings),
  })
  app.notFound(() => notFoundResponse())
  return app
}
