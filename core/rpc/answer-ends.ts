/**
 * What is left to do with the only partial answer of a query, for a backend in the same process that does it at once
 * (core/query/answer-task.ts): a task without what it is done with. Not part of any message.
 */

/** A message of Connect, the same as JSON, the object of the render endpoints. */
export type GraphEncoding = 'proto' | 'json' | 'flamebearer'

export interface FlameGraphEnd {
  readonly kind: 'flame-graph'
  /** Of the merge. */
  readonly nodesMax: number
  /** Of the answer. */
  readonly maxNodes: number
  readonly as: GraphEncoding | 'tree'
}

interface ValueTypeText {
  readonly type: string
  readonly unit: string
}

export interface PprofEnd {
  readonly kind: 'pprof'
  readonly nodesMax: number
  /** Functions that stay; undefined: all. */
  readonly maxNodes: number | undefined
  readonly leaves: { readonly keepLocations: number; readonly aggregateCallees: boolean } | undefined
  readonly header: {
    readonly sampleType: ValueTypeText
    readonly periodType: ValueTypeText
    readonly period: bigint
    readonly timeNanos: bigint
    readonly comments?: readonly string[]
  }
  /** Text of Connect; absent: the file. */
  readonly as?: 'json' | undefined
}

export interface SeriesEnd {
  readonly kind: 'series'
  readonly range: { readonly startMs: number; readonly endMs: number; readonly stepMs: number }
  readonly aggregation: 'sum' | 'average'
  /** 0 = all. */
  readonly limit: number
  readonly as: 'proto' | 'json'
}

export interface AnswerEnds {
  readonly tree: FlameGraphEnd
  readonly stacks: PprofEnd
  readonly series: SeriesEnd
}

/** A request that is the only call of its query. */
export type Ending<Request, Kind extends keyof AnswerEnds> = Request & { end?: AnswerEnds[Kind] | undefined }

export interface EndedSeries {
  bytes: Uint8Array
  /** How many there are, before the limit. */
  seriesCount: number
}
