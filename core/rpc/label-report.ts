/**
 * Label sets from the series of blocks: what the query-backend answers where the metastore cannot list them. Shapes equal
 * the protobuf messages of `apps/platform/proto/cinder/v1/labels.proto`.
 */
import type { SourceObject } from './metastore.ts'
import type { MatcherText, ReadStats } from './query-backend.ts'

export interface LabelReportRequest {
  objects: SourceObject[]
  /** Inclusive; whole data hours are meant, as the metastore keeps label sets. */
  startMs: number
  endMs: number
  /** Over all labels of a set, those that follow from its type included. */
  matchers: MatcherText[]
  /** As for the metastore: every set is reduced to these; empty = whole sets. */
  names: string[]
  /** Each label name once, as a set `[name, '']` of its own. */
  namesOnly: boolean
}

export interface LabelReportResponse {
  /** Distinct; name, value, … */
  sets: { pairs: string[] }[]
  stats: ReadStats
}

export interface LabelReporter {
  labels(request: LabelReportRequest, signal?: AbortSignal): Promise<LabelReportResponse>
}
