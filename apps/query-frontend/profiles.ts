/** Flame graphs and time series: trees and series of the query-backends, merged, cut or ranked once, as messages. */
import { cutTree } from '#core/flamegraph/cut.ts'
import { flameGraphOf } from '#core/flamegraph/flamegraph.ts'
import { encodeTreeFormat } from '#core/flamegraph/tree-format.ts'
import { FunctionTree } from '#core/flamegraph/tree.ts'
import { dataRangeOf, finishTimeSeries, TimeSeriesBuilder } from '#core/query/time-series.ts'
import type { Metastore } from '#core/rpc/metastore.ts'
import type { QueryBackend } from '#core/rpc/query-backend.ts'
import type { SelectMergeStacktracesRequest, SelectSeriesRequest } from '#platform/gen/querier/v1/querier_pb.ts'
import { runQuery } from './execute.ts'
import { type RequestContext, seriesQueryOf, stacktracesQueryOf, stepRangeOf } from './request.ts'

export interface ProfileSources {
  readonly metastore: Pick<Metastore, 'planQuery'>
  readonly backend: QueryBackend
}

export async function selectMergeStacktraces(
  sources: ProfileSources,
  request: SelectMergeStacktracesRequest,
  context: RequestContext,
  signal: AbortSignal,
) {
  const { range, profileType, matchers, services, maxNodes, format } = stacktracesQueryOf(request, context)
  let tree = new FunctionTree()
  if (range.kind === 'range') {
    const { startMs, endMs } = range
    tree = await runQuery(
      sources.metastore,
      {
        plan: { tenants: [...context.tenants], startMs, endMs, services },
        begin: () => new FunctionTree(),
        async call(objects, merged, ended) {
          const asked = { profileType, matchers, startMs, endMs, objects }
          merged.mergeEncoded((await sources.backend.stacktraces(asked, ended)).tree)
        },
      },
      signal,
    )
  }
  const cut = cutTree(tree, maxNodes)
  if (format === 'tree') return { tree: encodeTreeFormat(cut) }
  const { names, levels, total, maxSelf } = flameGraphOf(cut)
  return { flamegraph: { names, levels: levels.map((values) => ({ values })), total, maxSelf } }
}

export async function selectSeries(
  sources: ProfileSources,
  request: SelectSeriesRequest,
  context: RequestContext,
  signal: AbortSignal,
) {
  const { range, profileType, matchers, services, ...query } = seriesQueryOf(request, context)
  if (range.kind === 'empty') return {}
  const steps = stepRangeOf(range, query.stepMs)
  const { groupBy } = query
  const builder = await runQuery(
    sources.metastore,
    {
      // The first point also covers the step before the range.
      plan: { tenants: [...context.tenants], ...dataRangeOf(steps), services },
      // Labels of partial answers are grouped already.
      begin: () => new TimeSeriesBuilder([]),
      async call(objects, merged, ended) {
        const asked = { profileType, matchers, ...steps, groupBy, objects }
        merged.merge((await sources.backend.timeSeries(asked, ended)).series)
      },
    },
    signal,
  )
  const { aggregation, limit } = query
  const answers = finishTimeSeries(builder.build(), { range: steps, aggregation, limit })
  return {
    series: answers.map(({ labels, points }) => ({
      labels: [...labels],
      points: points.map(({ timestampMs, value }) => ({ timestamp: BigInt(timestampMs), value })),
    })),
  }
}
