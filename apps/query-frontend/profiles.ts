/** Time series: those of the query-backends, merged, ranked once, as messages. */
import { dataRangeOf, finishTimeSeries, TimeSeriesBuilder } from '#core/query/time-series.ts'
import type { SelectSeriesRequest } from '#platform/gen/querier/v1/querier_pb.ts'
import { runQuery } from './execute.ts'
import { type RequestContext, seriesQueryOf, stepRangeOf } from './request.ts'
import type { ProfileSources } from './stacktraces.ts'

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
