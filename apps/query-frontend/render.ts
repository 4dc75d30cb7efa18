/**
 * The plain HTTP endpoints for reading: `/pyroscope/render`, `/pyroscope/render-diff`, `/pyroscope/label-values` and
 * `/pyroscope/label-names`.
 *
 * 1. GET alone; anything else is 405.
 * 2. A missing tenant is 401; then the parameters are read; a tenant id that is none is 400 like them.
 * 3. Queries run as those of the querier; the answer is JSON, gzip if the client takes it.
 */
import type { Hono } from 'hono'
import { CinderError, invalidArgument } from '#core/errors.ts'
import { budgetOf } from '#core/query/budget.ts'
import { LABEL_NAME, LABEL_PROFILE_TYPE } from '#core/labels/labels.ts'
import {
  type LabelSetsPart,
  listLabelNames,
  listLabelValues,
  partForLabelNames,
  partForLabelValues,
} from '#core/query/label-query.ts'
import { cutTimelineRange, timelineRange } from '#core/query/timeline.ts'
import { timelinesText } from '#core/query/timelines.ts'
import { acceptsGzip, type BodyCompression } from '#platform/http/body-compression.ts'
import { clientCapabilities } from '#platform/http/capabilities.ts'
import { errorResponse, toCinderError } from '#platform/http/errors.ts'
import { TENANT_HEADER } from '#platform/http/tenant.ts'
import type { Log } from '#core/ports/log.ts'
import type { Metastore } from '#core/rpc/metastore.ts'
import { readSets } from './metadata.ts'
import { readSeries } from './profiles.ts'
import { type BlockLabelSources, labelSource } from './block-labels.ts'
import { diffParts } from './diff.ts'
import { renderAnswer, renderDiffAnswer } from './render-answer.ts'
import { type RenderQuery, renderNodesOf, renderQueryOf, renderRangeOf } from './render-request.ts'
import type { QueryRecord, QueryRecorder } from './query-record.ts'
import { maxNodesOf, rangeOf, type RequestContext } from './request.ts'
import { runTogether } from './run-together.ts'
import type { SampleQuery } from './sample-request.ts'
import { type ProfileSources, queryDot, readTrees } from './stacktraces.ts'

export interface RenderDeps extends ProfileSources {
  readonly metastore: Pick<Metastore, 'planQuery' | 'labelSets'>
  readonly labels?: BlockLabelSources['labels']
  readonly compression: BodyCompression
  readonly log: Log
}

/** `context` checks the tenant: called after the parameters are read. */
export interface RenderRequest {
  readonly parameters: URLSearchParams
  readonly headers: Headers
  readonly signal: AbortSignal
  /** Everything of a context but its tenants, which may be wrong. */
  readonly open: Omit<RequestContext, 'tenants'>
  readonly context: () => RequestContext
}

export interface RenderSettings {
  readonly multitenancy: boolean
  readonly openOf: () => Omit<RequestContext, 'tenants'>
  /** Fails with `unauthenticated`. */
  readonly tenantsOf: (headers: Headers) => readonly string[]
  readonly recorder: QueryRecorder
}

interface Answer {
  readonly body: string
  readonly type: 'application/json' | 'text/plain; charset=utf-8'
}

function json(body: string): Answer {
  return { body, type: 'application/json' }
}

export function mountRender(app: Hono, deps: RenderDeps, settings: RenderSettings): void {
  const routes: Record<string, (deps: RenderDeps, request: RenderRequest) => Promise<Answer>> = {
    '/pyroscope/render': render,
    '/pyroscope/render-diff': renderDiff,
    '/pyroscope/label-values': labelValues,
    '/pyroscope/label-names': labelNames,
  }
  for (const [path, answer] of Object.entries(routes)) {
    app.all(path, async ({ req: { raw } }) => {
      if (raw.method !== 'GET') return new Response(null, { status: 405, headers: { Allow: 'GET' } })
      try {
        const record = settings.recorder.begin(raw.url, raw.headers)
        const plain = await answer(deps, requestOf(raw, settings, record))
        const headers = settings.recorder.end(record, settings.tenantsOf(raw.headers))
        return await respond(withRecord(plain, record, deps.clock.nowMs()), { raw, headers, ...deps })
      } catch (error) {
        return errorResponse(toCinderError(error, deps.log, path))
      }
    })
  }
}

function requestOf(
  raw: Request,
  { multitenancy, openOf, tenantsOf }: RenderSettings,
  record: QueryRecord,
): RenderRequest {
  if (multitenancy && (raw.headers.get(TENANT_HEADER) ?? '') === '') {
    throw new CinderError('unauthenticated', 'no org id', { reason: 'tenant_id' })
  }
  const open = { ...openOf(), record }
  return {
    parameters: new URL(raw.url).searchParams,
    headers: raw.headers,
    signal: raw.signal,
    open,
    context() {
      try {
        return { ...open, tenants: tenantsOf(raw.headers) }
      } catch (error) {
        if (error instanceof CinderError) throw invalidArgument(error.message, error.reason)
        throw error
      }
    },
  }
}

/** Fields of their own, which clients of old pass over; text has the headers alone. */
function withRecord(answer: Answer, record: QueryRecord, nowMs: number): Answer {
  if (answer.type !== 'application/json' || !answer.body.startsWith('{')) return answer
  const fields = [
    ...(record.warnings.length === 0 ? [] : [`"warnings":${JSON.stringify(record.warnings)}`]),
    ...(record.isExplained ? [`"explain":${JSON.stringify(record.reportAt(nowMs))}`] : []),
  ]
  return fields.length === 0 ? answer : json(`${answer.body.slice(0, -1)},${fields.join(',')}}`)
}

interface Reply {
  readonly raw: Request
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly compression: BodyCompression
}

async function respond(answer: Answer, { raw, headers, compression }: Reply): Promise<Response> {
  const bytes = new TextEncoder().encode(answer.body)
  const type = { ...Object.fromEntries(headers), 'Content-Type': answer.type }
  if (!acceptsGzip(raw.headers, bytes.length)) return new Response(bytes, { headers: type })
  const zipped = (await compression.gzip(bytes)) as Uint8Array<ArrayBuffer>
  // A worker compresses a body whose headers say gzip, unless it is told that this was done.
  const init: ResponseInit & { readonly encodeBody: 'manual' } = {
    headers: { ...type, 'Content-Encoding': 'gzip', Vary: 'Accept-Encoding' },
    encodeBody: 'manual',
  }
  return new Response(zipped, init)
}

async function render(deps: RenderDeps, request: RenderRequest): Promise<Answer> {
  const { parameters, signal } = request
  const asked = renderQueryOf(parameters, undefined, request.open)
  const context = request.context()
  const query = sampleQueryOf(asked, context)
  const givenNodes = renderNodesOf(parameters)
  const maxNodes = maxNodesOf(givenNodes, context)
  if (parameters.get('format') === 'dot') {
    const limit = givenNodes === undefined || givenNodes === 0n ? undefined : maxNodes
    const body = await queryDot(deps, { ...query, maxNodes: limit }, context, signal)
    return { body, type: 'text/plain; charset=utf-8' }
  }
  const end = { kind: 'flame-graph', maxNodes, as: 'flamebearer' } as const
  const [flame, timelines] = await runTogether(
    signal,
    (ended) => readTrees(deps, { ...query, end }, context, ended),
    (ended) => queryTimelines(deps, asked, { ...request, signal: ended }, context),
  )
  const graph = await flame.answer(end, signal)
  return json(renderAnswer(asked.profileType, new TextDecoder().decode(graph), timelines))
}

function sampleQueryOf(asked: RenderQuery, context: RequestContext): SampleQuery {
  const { profileType, matchers, services } = asked
  return { range: rangeOf(asked, context), profileType, matchers, services, selector: undefined }
}

async function queryTimelines(
  deps: RenderDeps,
  asked: RenderQuery,
  { parameters, signal }: RenderRequest,
  context: RequestContext,
): Promise<string> {
  const steps = timelineRange(Number(asked.start), Number(asked.end))
  const groupBy = parameters.getAll('groupBy').filter((name) => name !== '')
  const aggregation = parameters.get('aggregation') === 'avg' ? 'average' : 'sum'
  const { profileType, matchers, services } = asked
  const range = rangeOf(asked, context)
  if (range.kind === 'empty') return timelinesText([], { steps, range: steps, aggregation, groupBy })
  const query = {
    profileType,
    matchers,
    services,
    groupBy,
    callSite: [],
    frames: undefined,
    exemplars: 'none' as const,
  }
  // What lies before the lookback is shown as steps without a profile.
  const shown = range.startMs > asked.start ? cutTimelineRange(steps, range.startMs) : steps
  const { totals } = await readSeries(deps, { query, steps: shown }, context, signal)
  const { series: seriesMax } = budgetOf(context.tenants.map(context.limitsOf))
  const end = { kind: 'timelines', steps, range: shown, aggregation, groupBy, seriesMax } as const
  return new TextDecoder().decode(await totals.finish((parts) => ({ ...end, parts }), signal))
}

async function renderDiff(deps: RenderDeps, { parameters, open, signal, ...request }: RenderRequest): Promise<Answer> {
  const left = renderQueryOf(parameters, 'left', open)
  const right = renderQueryOf(parameters, 'right', open)
  const context = request.context()
  if (left.profileType !== right.profileType) throw invalidArgument('profile types must match', 'profile_type')
  const maxNodes = maxNodesOf(renderNodesOf(parameters), context)
  const sides = [left, right].map((side) => sampleQueryOf(side, context))
  const [ofLeft, ofRight] = await runTogether(
    signal,
    (ended) => readTrees(deps, sides[0]!, context, ended),
    (ended) => readTrees(deps, sides[1]!, context, ended),
  )
  const graph = await diffParts({ left: ofLeft, right: ofRight, maxNodes }, 'flamebearer', signal)
  return json(renderDiffAnswer(left.profileType, new TextDecoder().decode(graph)))
}

const RANGE_NAMES = { from: 'from', until: 'until' }

/** Values of `__name__` are profile types here, as clients of old ask for them. An empty list is `null`, as ever. */
async function labelValues(deps: RenderDeps, request: RenderRequest): Promise<Answer> {
  const label = request.parameters.get('label') ?? ''
  if (label === '') throw invalidArgument('label parameter is required', 'missing_label_name')
  const name = label === LABEL_NAME ? LABEL_PROFILE_TYPE : label
  const { context, sets } = await setsOf(deps, request, partForLabelValues([], name))
  const values = listLabelValues(sets, { matchers: [], regex: context.regex, name })
  return json(JSON.stringify(values.length === 0 ? null : values))
}

async function labelNames(deps: RenderDeps, request: RenderRequest): Promise<Answer> {
  const { context, sets } = await setsOf(deps, request, partForLabelNames([]))
  const allowUtf8Names = clientCapabilities(request.headers).utf8LabelNames
  const names = listLabelNames(sets, { matchers: [], regex: context.regex, allowUtf8Names })
  return json(JSON.stringify(names.length === 0 ? null : names))
}

async function setsOf(deps: RenderDeps, request: RenderRequest, part: LabelSetsPart) {
  const { startMs, endMs } = renderRangeOf(request.parameters, RANGE_NAMES, request.open.nowMs)
  const context = request.context()
  const range = rangeOf({ start: BigInt(startMs), end: BigInt(endMs) }, context)
  const source = labelSource(deps, { context, call: request })
  return { context, sets: await readSets(source, { range, part }, context) }
}
