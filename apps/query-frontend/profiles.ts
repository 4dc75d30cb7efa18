/** Time series: those of the query-backends, merged, ranked once, as messages; with exemplars where they are asked for. */
import { CinderError } from '#core/errors.ts'
import { LABEL_PROFILE_TYPE, type Labels, labelsKey } from '#core/labels/labels.ts'
import type { Matcher } from '#core/labels/matcher.ts'
import { budgetOf, type QueryBudget, refuseSeries } from '#core/query/budget.ts'
import { listSeries, partForSeries } from '#core/query/label-query.ts'
import type { ReadKind } from '#core/query/plan-cost.ts'
import { PointRows } from '#core/query/point-rows.ts'
import { packSeries } from '#core/query/series-columns.ts'
import { dataRangeOf, finishTimeSeries, type StepRange, TimeSeriesBuilder } from '#core/query/time-series.ts'
import type { PointExemplar } from '#core/rpc/query-backend.ts'
import type { AnswerEnds } from '#core/rpc/answer-ends.ts'
import { graphMessage } from '#platform/connect/graph-message.ts'
import { type SelectSeriesRequest, SelectSeriesResponseSchema } from '#platform/gen/querier/v1/querier_pb.ts'
import { workerOf } from './answer-parts.ts'
import { runQuery } from './execute.ts'
import { checkFiltered } from './frame-filter.ts'
import { exemplarMessage } from './heatmap.ts'
import { readSets } from './metadata.ts'
import { type RequestContext, type SeriesQuery, seriesQueryOf, stepRangeOf } from './request.ts'
import type { CallInfo, ProfileSources } from './stacktraces.ts'

export async function selectSeries(
  sources: ProfileSources,
  request: SelectSeriesRequest,
  context: RequestContext,
  { signal, isJson, answerText }: CallInfo,
) {
  const query = seriesQueryOf(request, context)
  const { range, aggregation, limit } = query
  if (range.kind === 'empty') return {}
  const steps = stepRangeOf(range, query.stepMs)
  const as = answerText === undefined ? 'proto' : 'json'
  const end = { kind: 'series', range: steps, aggregation, limit, as } as const
  const { builder, best, ended } = await readSeries(sources, { query, steps, end }, context, signal)
  if (query.exemplars === 'none') {
    const work = () => workerOf(sources, context).run({ ...end, columns: packSeries(builder.build()) }, signal)
    const bytes = ended ?? (await work())
    if (answerText === undefined) return graphMessage(SelectSeriesResponseSchema, bytes, isJson)
    answerText(bytes)
    return {}
  }
  const answers = finishTimeSeries(builder.build(), { range: steps, aggregation, limit })
  const exemplars = exemplarsOf(best, steps)
  return {
    series: answers.map(({ labels, points }) => ({
      labels: [...labels],
      points: points.map(({ timestampMs, value }) => ({
        timestamp: BigInt(timestampMs),
        value,
        exemplars: exemplars(labels, timestampMs),
      })),
    })),
  }
}

interface SeriesState {
  readonly builder: TimeSeriesBuilder
  /** The highest profile or span of every point. */
  readonly best: PointRows
  /** In place of both: the end of the only call. */
  ended?: Uint8Array
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
      // Labels of partial answers are grouped already.
      begin: (): SeriesState => ({
        builder: new TimeSeriesBuilder([]),
        best: new PointRows({ best: true, exemplars: true }),
      }),
      async read(objects, ended, isOnly) {
        const asked = { profileType, matchers, groupBy, objects }
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
      merge(state, { totals, points }) {
        const { builder, best } = state
        builder.merge(totals.series)
        const refused = refuseSeries(totals.ended?.seriesCount ?? builder.seriesCount, budget)
        if (refused !== undefined) throw refused
        if (totals.ended !== undefined) state.ended = totals.ended.bytes
        if (points !== undefined) best.merge(points.series)
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

function exemplarsOf(best: PointRows, { startMs, stepMs }: StepRange) {
  const byPlace = new Map<string, { readonly value: bigint; readonly exemplar: PointExemplar }>()
  for (const { labels, steps, values, exemplars } of best.build()) {
    const key = labelsKey(labels)
    steps.forEach((step, i) => byPlace.set(`${step},${key}`, { value: values[i]!, exemplar: exemplars[i]! }))
  }
  return (labels: Labels, timestampMs: number) => {
    const found = byPlace.get(`${(timestampMs - startMs) / stepMs},${labelsKey(labels)}`)
    return found === undefined ? [] : [exemplarMessage(found.value, found.exemplar)]
  }
}

function outdatedBackend(): CinderError {
  return new CinderError('unavailable', 'a query-backend of an earlier release does not know call sites of series', {
    reason: 'outdated_backend',
  })
}
