/** Heat maps of profiles and spans: points of the query-backends, merged, cut into ranges once, as messages. */
import { invalidArgument } from '#core/errors.ts'
import { budgetOf, refuseSeries } from '#core/query/budget.ts'
import { finishHeatmap } from '#core/query/heatmap.ts'
import { PointRows } from '#core/query/point-rows.ts'
import { packSeries } from '#core/query/series-columns.ts'
import { stepMsOf } from '#core/query/time-series.ts'
import type { PointExemplar } from '#core/rpc/query-backend.ts'
import { graphMessage } from '#platform/connect/graph-message.ts'
import {
  HeatmapQueryType,
  type SelectHeatmapRequest,
  SelectHeatmapResponseSchema,
} from '#platform/gen/querier/v1/querier_pb.ts'
import { ExemplarType } from '#platform/gen/types/v1/types_pb.ts'
import { workerOf } from './answer-parts.ts'
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
  const rows = await runQuery(
    sources,
    {
      kind: 'heatmap',
      reads: of === 'spans' ? 'samples' : 'ids',
      plan: { tenants: [...context.tenants], startMs, endMs, services },
      begin: () => new PointRows({ best: false, exemplars }),
      async read(objects, ended) {
        if (of === undefined) throw invalidArgument('valid heatmap query type must be specified', 'heatmap_query_type')
        const grid = { startMs, endMs, originMs: startMs, stepMs, groupBy }
        const wish = { spans: of === 'spans', exemplars, best: false }
        return sources.backend.points({ profileType, matchers, objects, ...grid, ...wish }, ended)
      },
      merge(merged, { series }) {
        merged.merge(series)
        const refused = refuseSeries(merged.seriesCount, budget)
        if (refused !== undefined) throw refused
      },
      statsOf: ({ stats }) => [stats],
    },
    { context, signal },
  )
  if (!exemplars) {
    const worker = workerOf(sources, context)
    const points = rows.build().map(({ labels, steps, values, counts }) => {
      return { labels, stepIndexes: steps, sums: values, counts }
    })
    const task = { kind: 'heatmap', columns: packSeries(points), originMs: startMs, stepMs, limit } as const
    if (answerText === undefined) {
      return graphMessage(SelectHeatmapResponseSchema, await worker.run({ ...task, as: 'proto' }, signal), isJson)
    }
    answerText(await worker.run({ ...task, as: 'json' }, signal))
    return {}
  }
  const answers = finishHeatmap(rows.build(), { originMs: startMs, stepMs, limit })
  return {
    series: answers.map(({ labels, slots }) => ({
      labels: [...labels],
      slots: slots.map((slot) => ({
        timestamp: BigInt(slot.timestampMs),
        yMin: [...slot.yMin],
        counts: slot.counts,
        exemplars: slot.exemplars.map(({ value, exemplar }) => exemplarMessage(value, exemplar)),
      })),
    })),
  }
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

export function exemplarMessage(value: bigint, { timeMs, profileId, spanId, traceId, labels }: PointExemplar) {
  return { timestamp: BigInt(Math.floor(timeMs)), profileId: uuidOf(profileId), spanId, traceId, value, labels }
}

/** Clients show profile ids as UUIDs, and ask for one with the same text. */
function uuidOf(id: string): string {
  return id === '' ? '' : id.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
