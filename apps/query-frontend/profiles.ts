/** Time series: those of the query-backends, merged, ranked once, as messages; with exemplars where they are asked for. */
import { CinderError } from '#core/errors.ts'
import { type Labels, labelsKey } from '#core/labels/labels.ts'
import { PointRows } from '#core/query/point-rows.ts'
import { dataRangeOf, finishTimeSeries, type StepRange, TimeSeriesBuilder } from '#core/query/time-series.ts'
import type { PointExemplar } from '#core/rpc/query-backend.ts'
import type { SelectSeriesRequest } from '#platform/gen/querier/v1/querier_pb.ts'
import { runQuery } from './execute.ts'
import { exemplarMessage } from './heatmap.ts'
import { type RequestContext, type SeriesQuery, seriesQueryOf, stepRangeOf } from './request.ts'
import type { ProfileSources } from './stacktraces.ts'

export async function selectSeries(
  sources: ProfileSources,
  request: SelectSeriesRequest,
  context: RequestContext,
  signal: AbortSignal,
) {
  const query = seriesQueryOf(request, context)
  const { range, aggregation, limit } = query
  if (range.kind === 'empty') return {}
  const steps = stepRangeOf(range, query.stepMs)
  const { builder, best } = await readSeries(sources, { query, steps }, context, signal)
  const exemplars = exemplarsOf(best, steps)
  const answers = finishTimeSeries(builder.build(), { range: steps, aggregation, limit })
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
}

type SeriesWish = Pick<SeriesQuery, 'profileType' | 'matchers' | 'services' | 'groupBy' | 'callSite' | 'exemplars'>

export function readSeries(
  sources: ProfileSources,
  { query, steps }: { readonly query: SeriesWish; readonly steps: StepRange },
  context: RequestContext,
  signal: AbortSignal,
): Promise<SeriesState> {
  const { profileType, matchers, services, groupBy, callSite, exemplars } = query
  // The first point also covers the step before the range.
  const data = dataRangeOf(steps)
  return runQuery(
    sources.metastore,
    {
      plan: { tenants: [...context.tenants], ...data, services },
      // Labels of partial answers are grouped already.
      begin: () => ({ builder: new TimeSeriesBuilder([]), best: new PointRows({ best: true, exemplars: true }) }),
      async call(objects, merged, ended) {
        const asked = { profileType, matchers, groupBy, objects }
        const { series, selected } = await sources.backend.timeSeries({ ...asked, ...steps, callSite }, ended)
        if (callSite.length > 0 && selected !== true) throw outdatedBackend()
        merged.builder.merge(series)
        if (exemplars === 'none') return
        const grid = { ...data, originMs: steps.startMs, stepMs: steps.stepMs }
        const wish = { spans: exemplars === 'spans', exemplars: true, best: true }
        merged.best.merge((await sources.backend.points({ ...asked, ...grid, ...wish }, ended)).series)
      },
    },
    signal,
  )
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
