/**
 * The query-backend's contract. Shapes equal the protobuf messages of `apps/platform/proto/cinder/v1/query_backend.proto`.
 *
 * `end`: the call is the only one of its query, and its answer may be ended there. `asPart`: rows may be bytes that nobody
 * looks at on the way. Both are wishes: a backend of an earlier release answers as it always did.
 */
import type { LabelPair } from '../labels/labels.ts'
import type { EndedSeries, Ending } from './answer-ends.ts'
import type { SourceObject } from './metastore.ts'

/** One matcher of a selector: op is `=`, `!=`, `=~` or `!~`. A missing label equals the empty string. */
export interface MatcherText {
  name: string
  op: string
  value: string
}

export interface StacktracesRequest {
  /** Five-part profile type id. */
  profileType: string
  matchers: MatcherText[]
  /** Inclusive. */
  startMs: number
  endMs: number
  objects: SourceObject[]
  /** Absent: all samples. */
  selector?: SampleSelector | undefined
}

/** Which samples of the selected profiles count; an empty list selects all. Ids are lower-case hex, checked. */
export interface SampleSelector {
  /** 32 digits: an id of one profile header. */
  profileIds: string[]
  /** 16 digits. */
  spanIds: string[]
  /** 32 digits. */
  traceIds: string[]
  /** Function names from the root: stacks that begin with them. */
  callSite: string[]
  /** Absent: all stacks. */
  frames?: FrameFilter | undefined
}

/** Stacks in which every included function is met, and no excluded one. Expressions are RE2, met anywhere in a name. */
export interface FrameFilter {
  includeNames: string[]
  excludeNames: string[]
  includeExpressions: string[]
  excludeExpressions: string[]
}

export interface StacktracesResponse {
  /** A function-level tree, uncut: `core/flamegraph/tree.ts`, encodeTree. */
  tree: Uint8Array
  stats: ReadStats
  /** The selector was obeyed: a backend of the release before this one does not know it and answers for all samples. */
  selected: boolean
  /** So was its frame filter: that is younger. */
  filtered?: boolean
  /** In place of the tree. */
  ended?: Uint8Array | undefined
}

/** As for stacktraces. */
export type MergeProfileRequest = StacktracesRequest

export interface MergeProfileResponse {
  /** Line-level stacks, uncut: `core/query/stack-profile.ts`, encode. Empty: nothing was selected. */
  stacks: Uint8Array
  stats: ReadStats
  /** The frame filter was obeyed. */
  filtered?: boolean
  /** In place of the stacks; no bytes: nothing was selected. */
  ended?: Uint8Array | undefined
}

export interface TimeSeriesRequest {
  profileType: string
  matchers: MatcherText[]
  startMs: number
  endMs: number
  stepMs: number
  groupBy: string[]
  objects: SourceObject[]
  /** Function names from the root: only samples whose stacks begin with them. Absent or empty: all. */
  callSite?: string[]
  /** Absent: all stacks. */
  frames?: FrameFilter | undefined
  asPart?: boolean
}

/** One output series: point i lies at start + stepIndexes[i] * step; sums are exact int64. */
export interface TimeSeries {
  labels: LabelPair[]
  stepIndexes: number[]
  sums: bigint[]
  /** Profiles in each point, for averages. */
  counts: number[]
}

export interface TimeSeriesResponse {
  series: TimeSeries[]
  stats: ReadStats
  /** The call site was obeyed: a backend of an earlier release does not know it. */
  selected?: boolean
  /** So was the frame filter. */
  filtered?: boolean
  /** In place of the series. */
  ended?: EndedSeries | undefined
  /** In place of the series too: core/query/series-part.ts. */
  part?: Uint8Array | undefined
}

export interface PointsRequest {
  profileType: string
  matchers: MatcherText[]
  /** Inclusive. */
  startMs: number
  endMs: number
  /** Steps end at origin + i * step. */
  originMs: number
  stepMs: number
  groupBy: string[]
  objects: SourceObject[]
  /** Spans instead of profiles. */
  spans: boolean
  exemplars: boolean
  /** Only the highest value of every step. */
  best: boolean
  /** Function names from the root: values are of the samples whose stacks begin with them. Absent or empty: of all. */
  callSite?: string[]
  /** Absent: all stacks. */
  frames?: FrameFilter | undefined
  asPart?: boolean
}

/** Row i: `counts[i]` points with `values[i]` in step `steps[i]`; by step, then by value. */
export interface PointSeries {
  labels: LabelPair[]
  steps: number[]
  values: bigint[]
  counts: number[]
  /** One a row, or none at all. */
  exemplars: PointExemplar[]
}

/** Ids are lower-case hex; empty if unknown. */
export interface PointExemplar {
  timeMs: number
  profileId: string
  spanId: string
  traceId: string
  /** Without those of the series. */
  labels: LabelPair[]
}

export interface PointsResponse {
  series: PointSeries[]
  stats: ReadStats
  /** Call site and frame filter were obeyed. */
  filtered?: boolean
  /** In place of the series: core/query/points-part.ts. */
  part?: Uint8Array | undefined
}

/** What the answer cost, counted and asserted in tests. */
export interface ReadStats {
  objects: number
  ranges: number
  bytes: number
  datasets: number
  profiles: number
  samples: number
  /** Datasets whose heads, and whose whole share of the answer, were kept from earlier calls. */
  keptHeads?: number
  keptReports?: number
}

export interface QueryBackend {
  stacktraces(request: Ending<StacktracesRequest, 'tree'>, signal?: AbortSignal): Promise<StacktracesResponse>
  mergeProfile(request: Ending<MergeProfileRequest, 'stacks'>, signal?: AbortSignal): Promise<MergeProfileResponse>
  timeSeries(request: Ending<TimeSeriesRequest, 'series'>, signal?: AbortSignal): Promise<TimeSeriesResponse>
  points(request: PointsRequest, signal?: AbortSignal): Promise<PointsResponse>
}
