/**
 * The query-frontend: `querier.v1.QuerierService` for Grafana and tools. It checks the request, plans with the
 * metastore, asks query-backends, merges, cuts once and answers.
 *
 * Metadata questions are answered from the metastore alone. Fetch and web streams only, so that it runs on Bun, Deno,
 * Node and workers. What it keeps between requests is for order alone: who runs, who waits, which backend answers. An
 * answer with a part of the data says so (execute.ts).
 */
import { Hono } from 'hono'
import type { TenantLimits } from '#core/limits/limits.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import type { RegexCompiler } from '#core/ports/regex.ts'
import { ADMISSION_DEFAULT } from '#core/query/admission.ts'
import type { AnswerWorker } from '#core/query/answer-task.ts'
import type { Metastore } from '#core/rpc/metastore.ts'
import type { QueryBackend } from '#core/rpc/query-backend.ts'
import { mountApiDescription } from '#platform/connect/api-description.ts'
import {
  answerBytesOf,
  answerTextOf,
  type ConnectServerOptions,
  mountService,
  takesGzip,
  tenantsOf,
} from '#platform/connect/server.ts'
import { QuerierService } from '#platform/gen/querier/v1/querier_pb.ts'
import type { BodyCompression } from '#platform/http/body-compression.ts'
import { clientCapabilities } from '#platform/http/capabilities.ts'
import { notFoundResponse } from '#platform/http/errors.ts'
import { resolveTenants } from '#platform/http/tenant.ts'
import { type AdhocDeps, mountAdhocProfiles } from './adhoc.ts'
import { AdmissionGate } from './admission-gate.ts'
import { analyzeQuery } from './analyze.ts'
import { mountCompanions } from './companions.ts'
import { selectHeatmap } from './heatmap.ts'
import { type AsyncDeps, AsyncQueries } from './async-queries.ts'
import { type BlockLabelSources, type LabelSource, labelSource } from './block-labels.ts'
import { mountDiagnostics } from './diagnostics.ts'
import { answerDiff } from './diff.ts'
import type { QuerySources } from './execute.ts'
import { KeptAnswers } from './kept-answers.ts'
import { LargeLists } from './large-lists.ts'
import { answerLabelNames, answerLabelValues, answerProfileTypes, answerSeries, answerStats } from './metadata.ts'
import { selectSeries } from './profiles.ts'
import { type QueryRecord, QueryRecorder } from './query-record.ts'
import { type LedgerDeps, mountLedgerPages } from './ledger.ts'
import { mountRecordingRules, type RulesDeps } from './recording-rules.ts'
import { mountTenantSettings, type SettingsDeps } from './settings.ts'
import { mountRender } from './render.ts'
import type { RequestContext } from './request.ts'
import { mountStatusPages } from './status-pages.ts'
import { type CallInfo, selectMergeProfile, selectMergeSpanProfile } from './stacktraces.ts'

export interface QueryFrontendDeps extends AdhocDeps, AsyncDeps, RulesDeps, SettingsDeps, LedgerDeps {
  readonly metastore: Metastore
  readonly backend: QueryBackend
  /** Of several query-backends, which one has an object (spread-backend.ts). */
  readonly ownerOf?: (objectId: string) => string
  /** Label sets from blocks, where there are more than the metastore lists; absent: refused. */
  readonly labels?: BlockLabelSources['labels']
  /** Absent: one of its own, with the default policy. */
  readonly admission?: AdmissionGate
  readonly onMissing?: QuerySources['onMissing']
  /** Where answers are merged and encoded; absent: in the loop that answers. */
  readonly answerWorker?: AnswerWorker | undefined
  readonly regex: RegexCompiler
  readonly clock: Clock
  readonly log: Log
  readonly compression: BodyCompression
}

export interface QueryFrontendSettings {
  readonly multitenancy: boolean
  readonly limitsOf: (tenant: string) => TenantLimits
}

/** 4 MiB: a query is a few KiB; selectors are bounded at 64 KiB each. */
const REQUEST_BODY_MAX_BYTES = 4 * 1024 * 1024

type CallContext = Parameters<typeof tenantsOf>[0] & {
  readonly url: string
  readonly requestHeader: Headers
  readonly responseHeader: Headers
  readonly signal: AbortSignal
}

type RecordedRun<Request, Answer> = (
  request: Request,
  context: RequestContext,
  info: CallInfo,
  call: CallContext,
) => Promise<Answer>

type LabelledRun<Request, Answer> = (
  source: LabelSource,
  request: Request,
  context: RequestContext,
  call: CallContext,
) => Promise<Answer>

export function createQueryFrontend(deps: QueryFrontendDeps, settings: QueryFrontendSettings): Hono {
  const app = new Hono()
  const sources = { ...deps, admission: deps.admission ?? new AdmissionGate(ADMISSION_DEFAULT, deps.clock) }
  const asyncQueries = new AsyncQueries(sources)
  const recorder = new QueryRecorder(deps.clock)
  const contextOf = (call: Parameters<typeof tenantsOf>[0], record?: QueryRecord): RequestContext => ({
    tenants: tenantsOf(call),
    limitsOf: settings.limitsOf,
    regex: deps.regex,
    nowMs: Math.floor(deps.clock.nowMs()),
    record,
  })
  const recorded = recordedBy(recorder, contextOf)
  const labelled = labelledBy(sources, recorded)
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
      profileTypes: labelled(answerProfileTypes),
      labelValues: labelled(answerLabelValues),
      labelNames: labelled((source, request, context, call) =>
        answerLabelNames(source, request, context, showsUtf8(call)),
      ),
      series: labelled((source, request, context, call) => answerSeries(source, request, context, showsUtf8(call))),
      getProfileStats: (_, call) => answerStats(deps.metastore, contextOf(call)),
      selectMergeStacktraces: recorded((request, context, info) => asyncQueries.answer(request, context, info)),
      selectMergeSpanProfile: recorded((request, context, info) =>
        selectMergeSpanProfile(sources, request, context, info),
      ),
      selectMergeProfile: recorded((request, context, info) => selectMergeProfile(sources, request, context, info)),
      selectSeries: recorded((request, context, info) => selectSeries(sources, request, context, info)),
      diff: recorded((request, context, info) => answerDiff(sources, request, context, info)),
      selectHeatmap: recorded((request, context, info) => selectHeatmap(sources, request, context, info)),
      analyzeQuery: labelled((labels, request, context) =>
        analyzeQuery({ metastore: deps.metastore, clock: deps.clock, labels }, request, context),
      ),
    },
    options,
  )
  mountCompanions(app, options)
  mountAdhocProfiles(app, sources, options, contextOf)
  mountRecordingRules(app, deps, options, contextOf)
  mountTenantSettings(app, deps, options, contextOf)
  mountStatusPages(app, settings)
  mountApiDescription(app)
  const readTenants = (headers: Headers) => resolveTenants(headers, settings)
  mountRender(app, sources, {
    multitenancy: settings.multitenancy,
    openOf: () => ({ limitsOf: settings.limitsOf, regex: deps.regex, nowMs: Math.floor(deps.clock.nowMs()) }),
    tenantsOf: readTenants,
    recorder,
  })
  mountLedgerPages(app, deps, { tenantsOf: readTenants })
  mountDiagnostics(app, recorder.diagnostics, { log: deps.log, tenantsOf: readTenants })
  app.notFound(() => notFoundResponse())
  return app
}

/** A question of labels, which blocks may have to answer. */
function labelledBy(sources: QueryFrontendDeps & BlockLabelSources, recorded: ReturnType<typeof recordedBy>) {
  const { answerWorker: worker, regex, clock, compression } = sources
  const keptAnswers = new KeptAnswers()
  const turn = (signal: AbortSignal) => clock.sleep(0, signal)
  return <Request, Answer>(run: LabelledRun<Request, Answer>) =>
    recorded((request: Request, context, info, call) => {
      const giveAnswer = keptAnswers.giving(context.tenants, answerBytesOf(call), compression)
      const largeLists = worker === undefined ? undefined : new LargeLists({ worker, regex, turn }, info)
      return run(labelSource(sources, { context, call }), request, { ...context, giveAnswer, largeLists }, call)
    })
}

/** A query of profiles: what is to be told beside its answer goes out as headers. */
function recordedBy(
  recorder: QueryRecorder,
  contextOf: (call: Parameters<typeof tenantsOf>[0], record: QueryRecord) => RequestContext,
) {
  return <Request, Answer>(run: RecordedRun<Request, Answer>) =>
    async (request: Request, call: CallContext): Promise<Answer> => {
      const record = recorder.begin(call.url, call.requestHeader)
      const answer = await run(request, contextOf(call, record), callInfoOf(call), call)
      for (const [name, value] of recorder.end(record, tenantsOf(call))) call.responseHeader.set(name, value)
      return answer
    }
}

function callInfoOf(call: CallContext): CallInfo {
  return {
    // Most questions of labels never look at it.
    get signal() {
      return call.signal
    },
    // Types are the same in any case, and Connect takes them so.
    isJson: /json/i.test(call.requestHeader.get('content-type') ?? ''),
    answerText: answerTextOf(call),
    takesGzip: takesGzip(call),
  }
}
