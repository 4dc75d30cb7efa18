/** Heat maps of profiles and spans: points of the query-backends, merged, cut into ranges once, as messages. */
import { invalidArgument } from '#core/errors.ts'
import { budgetOf } from '#core/query/budget.ts'
import { encodePointsPart } from '#core/query/points-part.ts'
import { stepMsOf } from '#core/query/time-series.ts'
import { graphMessage } from '#platform/connect/graph-message.ts'
import {
  HeatmapQueryType,
  type SelectHeatmapRequest,
  SelectHeatmapResponseSchema,
} from '#platform/gen/querier/v1/querier_pb.ts'
import { ExemplarType } from '#platform/gen/types/v1/types_pb.ts'
import { AnswerParts, workerOf } from './answer-parts.ts'
import { runQuery } from './execute.ts'
import { type ProfileQuery, profileQueryOf, type RequestContext } from './request.ts'
import type { CallInfo, ProfileSources } from './stacktraces.ts'

interface HeatmapQuery extends ProfileQuery {
  readonly stepMs: number
  readonly groupBy: string[]
  /** undefined: not named, which is a fault as soon as there is something to show. */
  readonly of: 'profiles' | 'spans' | undefined
  readonly exemplars: boolean
  /** 0 = all. */
  readonly limit: number
}

export async function selectHeatmap(
  sources: ProfileSources,
  request: SelectHeatmapRequest,
  context: RequestContext,
  { signal, isJson, answerText }: CallInfo,
) {
  const query = heatmapQueryOf(request, context)
  const { range, profileType, matchers, services, stepMs, groupBy, of, exemplars, limit } = query
  if (range.kind === 'empty') return {}
  const { startMs, endMs } = range
  const budget = budgetOf(context.tenants.map(context.limitsOf))
  const kind = { of: 'points', best: false, exemplars } as const
  const begin = () => new AnswerParts(kind, workerOf(sources, context), { budget })
  let rows = begin()
  await runQuery(
    sources,
    {
      kind: 'heatmap',
      reads: of === 'spans' ? 'samples' : 'ids',
      plan: { tenants: [...context.tenants], startMs, endMs, services },
      begin: () => (rows = begin()),
      async read(objects, ended) {
        if (of === undefined) throw invalidArgument('valid heatmap query type must be specified', 'heatmap_query_type')
        await rows.room()
        const grid = { startMs, endMs, originMs: startMs, stepMs, groupBy, asPart: true }
        const wish = { spans: of === 'spans', exemplars, best: false }
        return sources.backend.points({ profileType, matchers, objects, ...grid, ...wish }, ended)
      },
      merge: (into, { part, series }) => into.add(part ?? encodePointsPart(series)),
      statsOf: ({ stats }) => [stats],
    },
    { context, signal },
  )
  const as = answerText === undefined ? 'proto' : 'json'
  const task = { kind: 'heatmap', exemplars, seriesMax: budget.series, originMs: startMs, stepMs, limit, as } as const
  const bytes = await rows.finish((parts) => ({ ...task, parts }), signal)
  if (answerText === undefined) return graphMessage(SelectHeatmapResponseSchema, bytes, isJson)
  answerText(bytes)
  return {}
}

function heatmapQueryOf(request: SelectHeatmapRequest, context: RequestContext): HeatmapQuery {
  const stepMs = stepMsOf(request.step)
  if (request.start >= request.end) {
    const { start, end } = request
    throw invalidArgument(`start time must be before end time, got start=${start} end=${end}`, 'invalid_time_range')
  }
  const limit = request.limit ?? 0n
  if (limit < 0n) throw invalidArgument(`limit must be non-negative, got ${limit}`, 'invalid_limit')
  return {
    ...profileQueryOf(request, context),
    stepMs,
    groupBy: request.groupBy,
    of: subjectOf(request.queryType),
    // Which kind is shown follows from what is counted.
    exemplars: request.exemplarType === ExemplarType.INDIVIDUAL || request.exemplarType === ExemplarType.SPAN,
    limit: Number(limit),
  }
}

function subjectOf(type: HeatmapQueryType): HeatmapQuery['of'] {
  if (type === HeatmapQueryType.INDIVIDUAL) return 'profiles'
  return type === HeatmapQueryType.SPAN ? 'spans' : undefined
}
