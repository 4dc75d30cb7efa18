/**
 * The query-backend: reads what a plan names and answers with partial trees and series. Stateless: what it keeps of
 * blocks makes it faster, and nothing depends on it.
 *
 * Per object, at most two rounds of ranged reads: heads of the named datasets first (small datasets whole), then the
 * symbols and frames that the selected profiles need. Ranges are coalesced, reads bounded, bytes counted.
 * The only call of a query may be ended here too (core/query/answer-task.ts).
 * A missing or damaged object is an error (`not_found`, `data_loss`), never a partial answer: the frontend replans.
 */
import { encodeTree, FunctionTree } from '#core/flamegraph/tree.ts'
import { compileMatchers } from '#core/labels/matcher.ts'
import { withoutStripped } from '#core/query/stripped.ts'
import type { Codec } from '#core/ports/codec.ts'
import type { RegexCompiler } from '#core/ports/regex.ts'
import type { BlockCache } from '#core/query/block-cache.ts'
import { addProfile, addStacktraces, addTimeSeries } from '#core/query/aggregate.ts'
import { endSeries, endStacks, endTree } from '#core/query/answer-task.ts'
import { encodeEndedSeries } from '#core/query/ended-series.ts'
import { compileSelector } from '#core/query/sample-selector.ts'
import { namesTenant } from '#core/query/select-series.ts'
import { StackProfile } from '#core/query/stack-profile.ts'
import { encodeSeriesPart } from '#core/query/series-part.ts'
import { compileStackTest } from '#core/query/stack-test.ts'
import { isMark } from '#core/query/point-annotations.ts'
import { dataRangeOf, TimeSeriesBuilder } from '#core/query/time-series.ts'
import type { EndedSeries, Ending, SeriesEnd } from '#core/rpc/answer-ends.ts'
import type {
  MergeProfileRequest,
  MergeProfileResponse,
  PointsRequest,
  PointsResponse,
  ReadStats,
  StacktracesRequest,
  StacktracesResponse,
  TimeSeries,
  TimeSeriesRequest,
  TimeSeriesResponse,
} from '#core/rpc/query-backend.ts'
import { COMPRESS_MIN_BYTES } from '#platform/http/body-compression.ts'
import { readCallSiteSeries, readPoints } from './points.ts'
import { KeptBlocks } from './kept-blocks.ts'
import { mergeObjects, type Question } from './kept-reports.ts'
import {
  type CallEnd,
  type ObjectQuery,
  type RangeStore,
  type ReadDeps,
  readObjects,
  throwIfGone,
} from './read-objects.ts'

export interface QueryBackendDeps {
  readonly store: RangeStore
  readonly codec: Codec
  readonly regex: RegexCompiler
  /** Absent: nothing of blocks is kept from call to call. */
  readonly cache?: BlockCache | undefined
  /** Partial answers over whole objects are kept too. */
  readonly keepsReports?: boolean
  readonly freesRanges?: boolean
}

/** A `QueryBackend` that looks at its caller's flag only, so that a thread may give one that is no signal. */
export interface LocalQueryBackend {
  stacktraces(request: Ending<StacktracesRequest, 'tree'>, signal?: CallEnd): Promise<StacktracesResponse>
  mergeProfile(request: Ending<MergeProfileRequest, 'stacks'>, signal?: CallEnd): Promise<MergeProfileResponse>
  timeSeries(request: Ending<TimeSeriesRequest, 'series'>, signal?: CallEnd): Promise<TimeSeriesResponse>
  points(request: PointsRequest, signal?: CallEnd): Promise<PointsResponse>
}

export function createQueryBackend(deps: QueryBackendDeps): LocalQueryBackend {
  const reading: BackendParts = {
    ...deps,
    kept: deps.cache === undefined ? undefined : new KeptBlocks(deps.cache),
    reports: deps.keepsReports === true ? deps.cache : undefined,
  }
  return {
    stacktraces: (request, signal) => readStacktraces(reading, request, signal),
    mergeProfile: (request, signal) => readProfile(reading, request, signal),
    timeSeries: (request, signal) => readSeries(reading, request, signal),
    points: (request, signal) => readPoints(reading, request, { stats: zeroStats(), signal }),
  }
}

interface BackendParts extends ReadDeps {
  readonly regex: RegexCompiler
  readonly reports: BlockCache | undefined
}

const NO_BYTES = new Uint8Array(0)

/** Samples of whole profiles: what the range does not cut gives the same whatever the range is. */
function sampleQuestion(kind: string, request: StacktracesRequest): Question {
  const shape = JSON.stringify([kind, request.profileType, request.matchers, request.selector ?? null])
  return { shape, afterMs: request.startMs - 1, beforeMs: request.endMs }
}

function sampleQuery(deps: BackendParts, request: StacktracesRequest, wants: 'samples' | 'lines'): ObjectQuery {
  return {
    profileType: request.profileType,
    matches: compileMatchers(withoutStripped(request.matchers), deps.regex),
    showsTenant: namesTenant(request.matchers),
    startMs: request.startMs,
    endMs: request.endMs,
    wants,
    selector: compileSelector(request.selector),
  }
}

async function readStacktraces(
  deps: BackendParts,
  request: Ending<StacktracesRequest, 'tree'>,
  signal: CallEnd | undefined,
): Promise<StacktracesResponse> {
  const stats = zeroStats()
  const query = { ...sampleQuery(deps, request, 'samples'), takesTotals: request.selector === undefined }
  const stackTest = compileStackTest(request.selector, deps.regex)
  const { end } = request
  const total = new FunctionTree(undefined, end?.nodesMax)
  await mergeObjects(deps.reports, request.objects, {
    question: sampleQuestion('tree', request),
    stats,
    read: (objects) => readObjects(deps, objects, query, { stats, signal }),
    total,
    begin: () => new FunctionTree(),
    add({ plan, fetched }, tree) {
      stats.samples += addStacktraces(plan, fetched, tree, stackTest)
      throwIfGone(signal)
    },
    pack(tree) {
      const packed = encodeTree(tree)
      return { packed, sizeBytes: packed.length }
    },
    merge: (packed: Uint8Array, tree) => tree.mergeEncoded(packed),
  })
  const answer = { stats, selected: request.selector !== undefined, filtered: true }
  if (end !== undefined) return { ...answer, tree: NO_BYTES, ended: endTree(total, end) }
  return { ...answer, tree: encodeTree(total) }
}

async function readProfile(
  deps: BackendParts,
  request: Ending<MergeProfileRequest, 'stacks'>,
  signal: CallEnd | undefined,
): Promise<MergeProfileResponse> {
  const stats = zeroStats()
  const query = sampleQuery(deps, request, 'lines')
  const stackTest = compileStackTest(request.selector, deps.regex)
  const { end } = request
  const total = new StackProfile(undefined, end?.nodesMax)
  await mergeObjects(deps.reports, request.objects, {
    question: sampleQuestion('profile', request),
    stats,
    read: (objects) => readObjects(deps, objects, query, { stats, signal }),
    total,
    begin: () => new StackProfile(),
    add({ plan, fetched }, profile) {
      stats.samples += addProfile(plan, fetched, profile, stackTest)
      throwIfGone(signal)
    },
    pack(profile) {
      const packed = profile.encode()
      return { packed, sizeBytes: packed.length }
    },
    merge: (packed: Uint8Array, profile) => profile.mergeEncoded(packed),
  })
  if (end !== undefined) return { stacks: NO_BYTES, stats, filtered: true, ended: endStacks(total, end) }
  return { stacks: total.encode(), stats, filtered: true }
}

/** Of a point of a kept series, besides its numbers. */
const POINT_BYTES = 48

async function readSeries(
  deps: BackendParts,
  request: Ending<TimeSeriesRequest, 'series'>,
  signal: CallEnd | undefined,
): Promise<TimeSeriesResponse> {
  const { profileType, matchers, groupBy, startMs, endMs, stepMs, objects } = request
  const stackTest = compileStackTest(request, deps.regex)
  const stats = zeroStats()
  if (stackTest !== undefined) return readCallSiteSeries(deps, request, stackTest, { stats, signal })
  const range = { startMs, endMs, stepMs }
  const data = dataRangeOf(range)
  const matches = compileMatchers(withoutStripped(matchers), deps.regex)
  const query: ObjectQuery = {
    profileType,
    matches,
    showsTenant: namesTenant(matchers, groupBy),
    startMs: data.startMs,
    endMs: data.endMs,
    wants: 'heads',
  }
  // Kept points count their steps from 1970: they fit every range whose steps lie on the same times.
  const phaseMs = startMs - Math.floor(startMs / stepMs) * stepMs
  const firstStep = (startMs - phaseMs) / stepMs
  const shape = JSON.stringify(['series', profileType, matchers, groupBy, stepMs, phaseMs])
  const total = new TimeSeriesBuilder(groupBy)
  await mergeObjects(deps.reports, objects, {
    question: { shape, afterMs: data.startMs, beforeMs: data.endMs },
    stats,
    read: (rest) => readObjects(deps, rest, query, { stats, signal }),
    total,
    begin: () => new TimeSeriesBuilder(groupBy),
    add({ head, profiles }, builder) {
      addTimeSeries(head, profiles, range, builder)
      throwIfGone(signal)
    },
    pack(builder) {
      const packed = shiftSteps(builder.build(), firstStep)
      return { packed, sizeBytes: packed.reduce((sum, { sums }) => sum + (sums.length + 8) * POINT_BYTES, 0) }
    },
    merge: (packed: TimeSeries[], builder) => builder.merge(shiftSteps(packed, -firstStep)),
  })
  const { end } = request
  const lying = end?.as === 'proto' ? total.rows() : undefined
  // Annotations are put to their points by the long way.
  const rows = lying?.labels.some(isMark) === true ? undefined : lying
  if (end !== undefined && rows !== undefined) {
    const bytes = encodeEndedSeries(rows, end)
    const seriesCount = rows.rowsOf.filter(({ length }) => length > 0).length
    return { series: [], stats, ended: packEnd(deps, end, { bytes, seriesCount }) }
  }
  const series = total.build()
  if (end === undefined)
    return request.asPart === true ? { series: [], stats, part: encodeSeriesPart(series) } : { series, stats }
  const ended = { bytes: endSeries(series, end), seriesCount: series.filter(({ labels }) => !isMark(labels)).length }
  return { series: [], stats, ended: packEnd(deps, end, ended) }
}

function packEnd({ codec }: BackendParts, { takesGzip }: SeriesEnd, ended: EndedSeries): EndedSeries {
  const gzip = takesGzip === true && ended.bytes.length >= COMPRESS_MIN_BYTES ? codec.gzip(ended.bytes) : undefined
  return { ...ended, gzip }
}

function shiftSteps(series: readonly TimeSeries[], by: number): TimeSeries[] {
  return series.map((each) => ({ ...each, stepIndexes: each.stepIndexes.map((index) => index + by) }))
}

function zeroStats(): ReadStats {
  return { objects: 0, ranges: 0, bytes: 0, datasets: 0, profiles: 0, samples: 0 }
}
