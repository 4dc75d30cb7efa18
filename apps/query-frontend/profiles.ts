/** Time series: those of the query-backends, merged, ranked once, as messages; with exemplars where they are asked for. */
import { CinderError } from '#core/errors.ts'
import { LABEL_PROFILE_TYPE } from '#core/labels/labels.ts'
import type { Matcher } from '#core/labels/matcher.ts'
import { budgetOf, type QueryBudget, refuseSeries } from '#core/query/budget.ts'
import { listSeries, partForSeries } from '#core/query/label-query.ts'
import type { ReadKind } from '#core/query/plan-cost.ts'
import { encodePointsPart } from '#core/query/points-part.ts'
import { encodeSeriesPart } from '#core/query/series-part.ts'
import { dataRangeOf, type StepRange } from '#core/query/time-series.ts'
import type { AnswerEnds } from '#core/rpc/answer-ends.ts'
import { graphMessage } from '#platform/connect/graph-message.ts'
import {
  type SelectSeriesRequest,
  type SelectSeriesResponse,
  SelectSeriesResponseSchema,
} from '#platform/gen/querier/v1/querier_pb.ts'
import { notePacked } from '#platform/http/packed-bytes.ts'
import { AnswerParts, workerOf } from './answer-parts.ts'
import { runQuery } from './execute.ts'
import { checkFiltered } from './frame-filter.ts'
import { readSets } from './metadata.ts'
import { type RequestContext, type SeriesQuery, seriesQueryOf, stepRangeOf } from './request.ts'
import type { CallInfo, ProfileSources } from './stacktraces.ts'

export async function selectSeries(
  sources: ProfileSources,
  request: SelectSeriesRequest,
  context: RequestContext,
  { signal, isJson, answerText, takesGzip }: CallInfo,
): Promise<SelectSeriesResponse | Record<string, never>> {
  const query = seriesQueryOf(request, context)
  const { range, aggregation, limit } = query
  if (range.kind === 'empty') return {}
  const steps = stepRangeOf(range, query.stepMs)
  const as = answerText === undefined ? 'proto' : 'json'
  const end = { kind: 'series', range: steps, aggregation, limit, as, takesGzip } as const
  const { totals, best } = await readSeries(sources, { query, steps, end }, context, signal)
  const { series: seriesMax } = budgetOf(context.tenants.map(context.limitsOf))
  const points = await best?.take()
  const bytes = await totals.finish((parts) => ({ ...end, parts, seriesMax, points }), signal)
  if (answerText === undefined) return graphMessage(SelectSeriesResponseSchema, bytes, isJson)
  answerText(bytes)
  return {}
}

/** Not yet merged; or the end of them. */
interface SeriesState {
  readonly totals: AnswerParts
  /** The highest profile or span of every point; undefined: not asked for. */
  readonly best: AnswerParts | undefined
}

type SeriesWish = Pick<
  SeriesQuery,
  'profileType' | 'matchers' | 'services' | 'groupBy' | 'callSite' | 'frames' | 'exemplars'
>

export function readSeries(
  sources: ProfileSources,
  { query, steps, end }: { readonly query: SeriesWish; readonly steps: StepRange; readonly end?: AnswerEnds['series'] },
  context: RequestContext,
  signal: AbortSignal,
): Promise<SeriesState> {
  const { profileType, matchers, services, groupBy, callSite, frames, exemplars } = query
  // The first point also covers the step before the range.
  const data = dataRangeOf(steps)
  const budget = budgetOf(context.tenants.map(context.limitsOf))
  const worker = workerOf(sources, context)
  const begin = (): SeriesState => ({
    totals: new AnswerParts({ of: 'series' }, worker, { budget }),
    best:
      exemplars === 'none'
        ? undefined
        : new AnswerParts({ of: 'points', best: true, exemplars: true }, worker, { budget }),
  })
  let state = begin()
  return runQuery(
    sources,
    {
      kind: 'series',
      reads: readsOf(query),
      plan: { tenants: [...context.tenants], ...data, services },
      // No answer has more series than headers: few queries need to ask how many there are.
      check: async ({ profiles }) => {
        if (groupBy.length > 0 && refuseSeries(profiles, budget) !== undefined) {
          await checkSeries(sources, { query, data, budget }, context)
        }
      },
      begin: () => (state = begin()),
      async read(objects, ended, isOnly) {
        await Promise.all([state.totals.room(), state.best?.room()])
        const asked = { profileType, matchers, groupBy, objects, asPart: true }
        const here = isOnly && exemplars === 'none' ? { end } : {}
        const totals = await sources.backend.timeSeries({ ...asked, ...steps, callSite, frames, ...here }, ended)
        if (callSite.length > 0 && totals.selected !== true) throw outdatedBackend()
        checkFiltered(frames, totals)
        if (exemplars === 'none') return { totals, points: undefined }
        const grid = { ...data, originMs: steps.startMs, stepMs: steps.stepMs }
        const wish = { spans: exemplars === 'spans', exemplars: true, best: true }
        const points = await sources.backend.points({ ...asked, ...grid, ...wish, callSite, frames }, ended)
        // Exemplars of other stacks would be shown as of these.
        if (callSite.length > 0 && points.filtered !== true) throw outdatedBackend()
        checkFiltered(frames, points)
        return { totals, points }
      },
      merge({ totals: into, best }, { totals, points }) {
        const { ended } = totals
        if (ended === undefined) into.add(totals.part ?? encodeSeriesPart(totals.series))
        else {
          const refused = refuseSeries(ended.seriesCount, budget)
          if (refused !== undefined) throw refused
          if (ended.gzip !== undefined) notePacked(ended.bytes, ended.gzip)
          into.setEnded(ended.bytes)
        }
        if (points !== undefined) best!.add(points.part ?? encodePointsPart(points.series))
      },
      statsOf: ({ totals, points }) => (points === undefined ? [totals.stats] : [totals.stats, points.stats]),
    },
    { context, signal },
  )
}

function readsOf({ callSite, frames, exemplars }: SeriesWish): ReadKind {
  if (callSite.length > 0 || frames !== undefined || exemplars === 'spans') return 'samples'
  return exemplars === 'profiles' ? 'ids' : 'heads'
}

/** From the label sets in Postgres; where even these are too many to list, the merge counts. */
async function checkSeries(
  { metastore }: Pick<ProfileSources, 'metastore'>,
  {
    query,
    data,
    budget,
  }: {
    readonly query: SeriesWish
    readonly data: { readonly startMs: number; readonly endMs: number }
    readonly budget: QueryBudget
  },
  context: RequestContext,
): Promise<void> {
  const { profileType, groupBy } = query
  const matchers: Matcher[] = [...query.matchers, { name: LABEL_PROFILE_TYPE, op: '=', value: profileType }]
  let count: number
  try {
    const range = { kind: 'range', ...data } as const
    const sets = await readSets(metastore, { range, part: partForSeries(matchers, groupBy) }, context)
    count = listSeries(sets, { matchers, regex: context.regex, labelNames: groupBy, allowUtf8Names: true }).length
  } catch (error) {
    if (error instanceof CinderError && error.kind === 'resource_exhausted') return
    throw error
  }
  const refused = refuseSeries(count, budget)
  if (refused !== undefined) throw refused
}

function outdatedBackend(): CinderError {
  return new CinderError('unavailable', 'a query-backend of an earlier release does not know call sites of series', {
    reason: 'outdated_backend',
  })
}
