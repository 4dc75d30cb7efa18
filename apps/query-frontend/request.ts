/**
 * From a client's request to a query, as pure functions: the order of checks is range, profile type, selector, then
 * the rest, so that the first fault that a client sees is the one that the peers name.
 *
 * What is asked for and cannot be answered yet is refused by name; leaving it out would be a wrong answer.
 */
import { resolveMaxNodes } from '#core/flamegraph/cut.ts'
import { invalidArgument } from '#core/errors.ts'
import { LABEL_SERVICE_NAME } from '#core/labels/labels.ts'
import { compileMatchers, equalityOf, type Matcher } from '#core/labels/matcher.ts'
import { formatProfileType, parseProfileType } from '#core/labels/profile-type.ts'
import { parseSelector, parseSelectors } from '#core/labels/selector.ts'
import type { TenantLimits } from '#core/limits/limits.ts'
import type { RegexCompiler } from '#core/ports/regex.ts'
import { parseSampleSelector } from '#core/query/sample-selector.ts'
import { combineTimeRangeLimits, resolveTimeRange, smallestPositive, type TimeRange } from '#core/query/time-range.ts'
import { type StepRange, stepMsOf } from '#core/query/time-series.ts'
import type { FrameFilter } from '#core/rpc/query-backend.ts'
import { MS_PER_HOUR } from '#core/units.ts'
import type { SelectSeriesRequest } from '#platform/gen/querier/v1/querier_pb.ts'
import { ExemplarType, TimeSeriesAggregationType } from '#platform/gen/types/v1/types_pb.ts'
import { frameFilterOf } from './frame-filter.ts'
import type { GiveAnswer } from './kept-answers.ts'
import type { LargeLists } from './large-lists.ts'
import type { QueryRecord } from './query-record.ts'

export interface RequestContext {
  readonly tenants: readonly string[]
  readonly limitsOf: (tenant: string) => TenantLimits
  readonly regex: RegexCompiler
  readonly nowMs: number
  /** What is to be told beside the answer. */
  readonly record?: QueryRecord | undefined
  /** Takes answers that come of a list of label sets alone; absent: they are returned. */
  readonly giveAnswer?: GiveAnswer | undefined
  /** For lists of many label sets; absent: they are listed at once. */
  readonly largeLists?: LargeLists | undefined
}

interface RangeFields {
  readonly start: bigint
  readonly end: bigint
}

/** Profile types are also asked for without a range: the last hour. */
const PROFILE_TYPES_WINDOW_MS = MS_PER_HOUR
/** Where no limit of nodes is set: more than any tree may hold. */
const NODES_UNLIMITED = 0xffffffff

export function rangeOf(request: RangeFields, context: RequestContext, defaultWindowMs?: number): TimeRange {
  const limits = combineTimeRangeLimits(
    context.tenants.map((tenant) => {
      const { maxQueryLengthMs, maxQueryLookbackMs } = context.limitsOf(tenant)
      return { maxLengthMs: maxQueryLengthMs, maxLookbackMs: maxQueryLookbackMs }
    }),
  )
  return resolveTimeRange(
    { startMs: toSafeNumber(request.start), endMs: toSafeNumber(request.end) },
    { nowMs: context.nowMs, limits, ...(defaultWindowMs === undefined ? {} : { defaultWindowMs }) },
  )
}

export function profileTypesRangeOf(request: RangeFields, context: RequestContext): TimeRange {
  return rangeOf(request, context, PROFILE_TYPES_WINDOW_MS)
}

/** Matchers of the `matchers` field of metadata queries. Expressions are checked when they are used. */
export function metadataMatchersOf(matchers: readonly string[]): Matcher[] {
  return parseSelectors(matchers)
}

export interface ProfileQuery {
  readonly range: TimeRange
  readonly profileType: string
  readonly matchers: Matcher[]
  /** The only services that can match; empty = any. */
  readonly services: string[]
}

interface ProfileFields extends RangeFields {
  readonly profileTypeID: string
  readonly labelSelector: string
}

/** Fails with `invalid_argument`. */
export function profileQueryOf(request: ProfileFields, context: RequestContext): ProfileQuery {
  const range = rangeOf(request, context)
  const profileType = formatProfileType(parseProfileType(request.profileTypeID))
  const matchers = parseSelector(request.labelSelector)
  // Compiled for its faults: the query-backends compile their own.
  compileMatchers(matchers, context.regex)
  const service = equalityOf(matchers, LABEL_SERVICE_NAME)
  return { range, profileType, matchers, services: service === undefined ? [] : [service] }
}

export function maxNodesOf(requested: bigint | undefined, context: RequestContext): number {
  const limits = context.tenants.map(context.limitsOf)
  return resolveMaxNodes(requested, {
    defaultNodes: smallestPositive(limits.map((each) => each.flameGraphNodesDefault)) || NODES_UNLIMITED,
    maxNodes: smallestPositive(limits.map((each) => each.flameGraphNodesMax)),
  })
}

export interface SeriesQuery extends ProfileQuery {
  readonly stepMs: number
  readonly groupBy: string[]
  readonly aggregation: 'sum' | 'average'
  /** Function names from the root; empty = all samples. */
  readonly callSite: string[]
  /** Functions that must or must not be in a stack; undefined: all samples. */
  readonly frames: FrameFilter | undefined
  readonly exemplars: 'none' | 'profiles' | 'spans'
  /** 0 = all. */
  readonly limit: number
}

export function seriesQueryOf(request: SelectSeriesRequest, context: RequestContext): SeriesQuery {
  const query = profileQueryOf(request, context)
  const stepMs = stepMsOf(request.step)
  const callSite = (request.stackTraceSelector?.callSite ?? []).map(({ name }) => name)
  const isAverage = request.aggregation === TimeSeriesAggregationType.AVERAGE
  return {
    ...query,
    stepMs,
    groupBy: request.groupBy,
    aggregation: isAverage ? 'average' : 'sum',
    callSite: parseSampleSelector({ callSite })?.callSite ?? [],
    frames: frameFilterOf(request.stackTraceSelector, context.regex),
    exemplars: exemplarsOf(request.exemplarType),
    limit: Math.max(0, toSafeNumber(request.limit ?? 0n)),
  }
}

function exemplarsOf(type: ExemplarType): SeriesQuery['exemplars'] {
  if (type === ExemplarType.INDIVIDUAL) return 'profiles'
  return type === ExemplarType.SPAN ? 'spans' : 'none'
}

export function stepRangeOf(range: Extract<TimeRange, { kind: 'range' }>, stepMs: number): StepRange {
  return { startMs: range.startMs, endMs: range.endMs, stepMs }
}

export function singleTenantOf(tenants: readonly string[]): string {
  if (tenants.length !== 1) throw invalidArgument(`expected 1 tenant, got ${tenants.length}`, 'tenant_id')
  return tenants[0]!
}

/** Times beyond 2^53 ms lie 285,000 years away: the nearest safe number means the same. */
function toSafeNumber(value: bigint): number {
  return Math.min(Number.MAX_SAFE_INTEGER, Math.max(Number.MIN_SAFE_INTEGER, Number(value)))
}
