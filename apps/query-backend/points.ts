/**
 * Points of profiles or spans, and time series under a call site: what heat maps and exemplars need beyond totals.
 *
 * Profiles are read from heads and ids, spans and call sites from samples, never from rollups, which have neither.
 */
import { compileMatchers } from '#core/labels/matcher.ts'
import { withoutStripped } from '#core/query/stripped.ts'
import type { RegexCompiler } from '#core/ports/regex.ts'
import { PointRows } from '#core/query/point-rows.ts'
import { encodePointsPart } from '#core/query/points-part.ts'
import { addCallSiteSeries, addProfilePoints, addSpanPoints, meantTotals } from '#core/query/profile-points.ts'
import type { CompiledSelector } from '#core/query/sample-selector.ts'
import { namesTenant } from '#core/query/select-series.ts'
import { compileStackTest, type StackTest } from '#core/query/stack-test.ts'
import { encodeSeriesPart } from '#core/query/series-part.ts'
import { dataRangeOf, TimeSeriesBuilder } from '#core/query/time-series.ts'
import type {
  PointsRequest,
  PointsResponse,
  ReadStats,
  TimeSeriesRequest,
  TimeSeriesResponse,
} from '#core/rpc/query-backend.ts'
import { type CallEnd, type ReadDataset, type ReadDeps, readObjects, throwIfGone } from './read-objects.ts'

interface PointDeps extends ReadDeps {
  readonly regex: RegexCompiler
}

/** Keeps rollups away, and brings the spans. */
const EVERY_ROW: CompiledSelector = { profileIds: undefined, row: () => true, callSite: [] }

interface Call {
  readonly stats: ReadStats
  readonly signal: CallEnd | undefined
}

export async function readPoints(deps: PointDeps, request: PointsRequest, call: Call): Promise<PointsResponse> {
  const { spans, exemplars, best, startMs, endMs, profileType } = request
  const rows = new PointRows({ best, exemplars })
  const matches = compileMatchers(withoutStripped(request.matchers), deps.regex)
  const base = { profileType, matches, showsTenant: namesTenant(request.matchers, request.groupBy), startMs, endMs }
  const stackTest = compileStackTest(request, deps.regex)
  const [withIds, withSamples] = [
    { ...base, wants: 'ids' } as const,
    { ...base, wants: 'samples', selector: EVERY_ROW } as const,
  ]
  if (spans) {
    for await (const { plan, fetched } of readObjects(deps, request.objects, withSamples, call)) {
      call.stats.samples += addSpanPoints(plan, fetched, { grid: request, rows, stackTest })
      throwIfGone(call.signal)
    }
    return answerOf(rows, request, call)
  }
  // Heads select, so both give the same datasets in the same order.
  const samples = stackTest === undefined ? undefined : readObjects(deps, request.objects, withSamples, call)
  try {
    for await (const { head, profiles, profileIds } of readObjects(deps, request.objects, withIds, call)) {
      const read = (await samples?.next())?.value as ReadDataset | undefined
      const meant = read === undefined ? undefined : meantTotals(read.plan, read.fetched, stackTest!)
      call.stats.samples += meant?.rows ?? 0
      addProfilePoints(head, profiles, profileIds!, { grid: request, rows, meant: meant?.totals })
      throwIfGone(call.signal)
    }
  } finally {
    await samples?.return(undefined)
  }
  return answerOf(rows, request, call)
}

function answerOf(rows: PointRows, { asPart }: PointsRequest, { stats }: Call): PointsResponse {
  const answer = { stats, filtered: true }
  return asPart === true
    ? { ...answer, series: [], part: encodePointsPart(rows.build()) }
    : { ...answer, series: rows.build() }
}

export async function readCallSiteSeries(
  deps: PointDeps,
  request: TimeSeriesRequest,
  stackTest: StackTest,
  call: Call,
): Promise<TimeSeriesResponse> {
  const builder = new TimeSeriesBuilder(request.groupBy)
  const { startMs, endMs, stepMs, profileType } = request
  const range = { startMs, endMs, stepMs }
  const matches = compileMatchers(withoutStripped(request.matchers), deps.regex)
  const showsTenant = namesTenant(request.matchers, request.groupBy)
  const query = {
    profileType,
    matches,
    showsTenant,
    ...dataRangeOf(range),
    wants: 'samples',
    selector: EVERY_ROW,
  } as const
  for await (const { plan, fetched } of readObjects(deps, request.objects, query, call)) {
    call.stats.samples += addCallSiteSeries(plan, fetched, stackTest, { range, builder })
    throwIfGone(call.signal)
  }
  const answer = { stats: call.stats, selected: true, filtered: true }
  const series = builder.build()
  return request.asPart === true ? { ...answer, series: [], part: encodeSeriesPart(series) } : { ...answer, series }
}
