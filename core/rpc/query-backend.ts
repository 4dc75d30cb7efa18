/**
 * The query-backend's contract. Shapes equal the protobuf messages of `apps/platform/proto/cinder/v1/query_backend.proto`.
 */
import type { LabelPair } from '../labels/labels.ts'
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
}

export interface StacktracesResponse {
  /** A function-level tree, uncut: `core/flamegraph/tree.ts`, encodeTree. */
  tree: Uint8Array
  stats: ReadStats
}

export interface TimeSeriesRequest {
  profileType: string
  matchers: MatcherText[]
  startMs: number
  endMs: number
  stepMs: number
  groupBy: string[]
  objects: SourceObject[]
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
}

/** What the answer cost, counted and asserted in tests. */
export interface ReadStats {
  objects: number
  ranges: number
  bytes: number
  datasets: number
  profiles: number
  samples: number
}

export interface QueryBackend {
  stacktraces(request: StacktracesRequest, signal?: AbortSignal): Promise<StacktracesResponse>
  timeSeries(request: TimeSeriesRequest, signal?: AbortSignal): Promise<TimeSeriesResponse>
}
