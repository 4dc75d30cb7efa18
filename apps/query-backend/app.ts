/**
 * The query-backend: reads what a plan names and answers with partial trees and series. Stateless; nothing depends on
 * a cache.
 *
 * Per object, at most two rounds of ranged reads: heads of the named datasets first (small datasets whole), then the
 * symbols and frames that the selected profiles need. Ranges are coalesced, reads bounded, bytes counted.
 * A missing or damaged object is an error (`not_found`, `data_loss`), never a partial answer: the frontend replans.
 */
import { encodeTree, FunctionTree } from '#core/flamegraph/tree.ts'
import { compileMatchers } from '#core/labels/matcher.ts'
import type { Codec } from '#core/ports/codec.ts'
import type { RegexCompiler } from '#core/ports/regex.ts'
import { addProfile, addStacktraces, addTimeSeries } from '#core/query/aggregate.ts'
import { compileSelector } from '#core/query/sample-selector.ts'
import { namesTenant } from '#core/query/select-series.ts'
import { StackProfile } from '#core/query/stack-profile.ts'
import { compileStackTest } from '#core/query/stack-test.ts'
import { dataRangeOf, TimeSeriesBuilder } from '#core/query/time-series.ts'
import type {
  MergeProfileRequest,
  MergeProfileResponse,
  PointsRequest,
  PointsResponse,
  ReadStats,
  StacktracesRequest,
  StacktracesResponse,
  TimeSeriesRequest,
  TimeSeriesResponse,
} from '#core/rpc/query-backend.ts'
import { readCallSiteSeries, readPoints } from './points.ts'
import { type CallEnd, type ObjectQuery, type RangeStore, readObjects, throwIfGone } from './read-objects.ts'

export interface QueryBackendDeps {
  readonly store: RangeStore
  readonly codec: Codec
  readonly regex: RegexCompiler
}

/** A `QueryBackend` that looks at its caller's flag only, so that a thread may give one that is no signal. */
export interface LocalQueryBackend {
  stacktraces(request: StacktracesRequest, signal?: CallEnd): Promise<StacktracesResponse>
  mergeProfile(request: MergeProfileRequest, signal?: CallEnd): Promise<MergeProfileResponse>
  timeSeries(request: TimeSeriesRequest, signal?: CallEnd): Promise<TimeSeriesResponse>
  points(request: PointsRequest, signal?: CallEnd): Promise<PointsResponse>
}

export function createQueryBackend(deps: QueryBackendDeps): LocalQueryBackend {
  return {
    async stacktraces(request, signal) {
      const tree = new FunctionTree()
      const stats = zeroStats()
      const query: ObjectQuery = {
        profileType: request.profileType,
        matches: compileMatchers(request.matchers, deps.regex),
        showsTenant: namesTenant(request.matchers),
        startMs: request.startMs,
        endMs: request.endMs,
        wants: 'samples',
        selector: compileSelector(request.selector),
      }
      const stackTest = compileStackTest(request.selector, deps.regex)
      for await (const { plan, fetched } of readObjects(deps, request.objects, query, { stats, signal })) {
        stats.samples += addStacktraces(plan, fetched, tree, stackTest)
        throwIfGone(signal)
      }
      return { tree: encodeTree(tree), stats, selected: request.selector !== undefined, filtered: true }
    },
    async mergeProfile(request, signal) {
      const profile = new StackProfile()
      const stats = zeroStats()
      const query: ObjectQuery = {
        profileType: request.profileType,
        matches: compileMatchers(request.matchers, deps.regex),
        showsTenant: namesTenant(request.matchers),
        startMs: request.startMs,
        endMs: request.endMs,
        wants: 'lines',
        selector: compileSelector(request.selector),
      }
      const stackTest = compileStackTest(request.selector, deps.regex)
      for await (const { plan, fetched } of readObjects(deps, request.objects, query, { stats, signal })) {
        stats.samples += addProfile(plan, fetched, profile, stackTest)
        throwIfGone(signal)
      }
      return { stacks: profile.encode(), stats, filtered: true }
    },
    async timeSeries(request, signal) {
      const stackTest = compileStackTest(request, deps.regex)
      if (stackTest !== undefined) return readCallSiteSeries(deps, request, stackTest, { stats: zeroStats(), signal })
      const builder = new TimeSeriesBuilder(request.groupBy)
      const stats = zeroStats()
      const range = { startMs: request.startMs, endMs: request.endMs, stepMs: request.stepMs }
      const data = dataRangeOf(range)
      const query: ObjectQuery = {
        profileType: request.profileType,
        matches: compileMatchers(request.matchers, deps.regex),
        showsTenant: namesTenant(request.matchers, request.groupBy),
        startMs: data.startMs,
        endMs: data.endMs,
        wants: 'heads',
      }
      for await (const { head, profiles } of readObjects(deps, request.objects, query, { stats, signal })) {
        addTimeSeries(head, profiles, range, builder)
        throwIfGone(signal)
      }
      return { series: builder.build(), stats }
    },
    points: (request, signal) => readPoints(deps, request, { stats: zeroStats(), signal }),
  }
}

function zeroStats(): ReadStats {
  return { objects: 0, ranges: 0, bytes: 0, datasets: 0, profiles: 0, samples: 0 }
}
