/**
 * What is left to do with the only partial answer of a query, for a backend that does it at once
 * (core/query/answer-task.ts): a task without what it is done with.
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
  /** Text of Connect, alone or inside of the answer of SelectMergeStacktraces; absent: the file. */
  readonly as?: 'json' | 'json-answer' | undefined
}

export interface SeriesEnd {
  readonly kind: 'series'
  readonly range: { readonly startMs: number; readonly endMs: number; readonly stepMs: number }
  readonly aggregation: 'sum' | 'average'
  /** 0 = all. */
  readonly limit: number
  readonly as: 'proto' | 'json'
  /** It goes out as gzip, which may be made with it. Between threads alone: no message has it. */
  readonly takesGzip?: boolean | undefined
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
  /** Of the bytes, if that was asked for and they are worth it; in no message. */
  gzip?: Uint8Array | undefined
}

interface NamedEnd {
  readonly kind: string
  readonly as?: string | undefined
  readonly range?: unknown
  readonly header?: unknown
  readonly aggregation?: string | undefined
}

interface KnownEnd {
  /** How the answer may be written; undefined: it need not be said. */
  readonly as: readonly (string | undefined)[]
  /** What the end cannot be without. */
  readonly needs?: 'range' | 'header'
  readonly aggregations?: readonly (string | undefined)[]
}

const KNOWN: Readonly<Record<string, KnownEnd>> = {
  'flame-graph': { as: ['proto', 'json', 'flamebearer', 'tree'] },
  pprof: { as: [undefined, 'json', 'json-answer'], needs: 'header' },
  series: { as: ['proto', 'json'], needs: 'range', aggregations: ['sum', 'average'] },
}

/** A later release may ask for what this one does not know: such a wish is passed over, and the part is answered. */
export function isKnownEnd(end: NamedEnd): boolean {
  const known = Object.hasOwn(KNOWN, end.kind) ? KNOWN[end.kind] : undefined
  if (known === undefined || !known.as.includes(end.as)) return false
  if (known.aggregations?.includes(end.aggregation) === false) return false
  return known.needs === undefined || end[known.needs] !== undefined
}
