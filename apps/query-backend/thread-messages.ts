/**
 * What the query-backend and a thread that executes its calls say to each other. Bytes travel by transfer; points travel
 * as columns, because a clone costs 1.6 µs an object and a day in steps of 15 s has 5,760 points a series. Label sets
 * travel as text in pieces, so that reading 250,000 of them is many short turns of the loop.
 */
import { CinderError, type ErrorKind } from '#core/errors.ts'
import type { LabelPair } from '#core/labels/labels.ts'
import { type AnswerTask, taskBuffers } from '#core/query/answer-task.ts'
import type { LabelReporter, LabelReportRequest, LabelReportResponse } from '#core/rpc/label-report.ts'
import type { EndedSeries } from '#core/rpc/answer-ends.ts'
import type {
  MergeProfileRequest,
  PointExemplar,
  PointSeries,
  PointsRequest,
  QueryBackend,
  ReadStats,
  StacktracesRequest,
  TimeSeries,
  TimeSeriesRequest,
} from '#core/rpc/query-backend.ts'
import type { EndedCall } from '#platform/metrics/metered-store.ts'

/** First message to a thread. */
export interface ThreadSettings {
  /** One flag a slot; 1 = nobody waits for the call any more. Seen without a message, in the middle of a merge. */
  readonly ended: SharedArrayBuffer
  /** Of its cache; 0 = none. */
  readonly cacheBytesMax: number
  readonly keepsReports: boolean
  /** Of a store of local files, which the thread may read; undefined: it asks for all. */
  readonly localRoot: string | undefined
}

/** Work that has nothing to do with a store. */
export type ThreadWork = { readonly kind: 'gzip'; readonly bytes: Uint8Array } | AnswerTask

export type QueryMethod = keyof QueryBackend | keyof LabelReporter | 'work'

export type QueryRequest =
  | StacktracesRequest
  | MergeProfileRequest
  | TimeSeriesRequest
  | PointsRequest
  | LabelReportRequest
  | ThreadWork

/** To the thread. */
export type ThreadQuestion =
  | { readonly kind: 'settings'; readonly settings: ThreadSettings }
  | { readonly kind: 'call'; readonly slot: number; readonly method: QueryMethod; readonly request: QueryRequest }
  | { readonly kind: 'bytes'; readonly read: number; readonly bytes: Uint8Array }
  | { readonly kind: 'unread'; readonly read: number; readonly error: ThreadError }

/** From the thread. */
export type ThreadReply =
  | {
      readonly kind: 'read'
      readonly slot: number
      readonly read: number
      readonly key: string
      readonly offset: number
      readonly lengthBytes: number
    }
  | {
      readonly kind: 'answer'
      readonly slot: number
      readonly answer: PackedAnswer
      /** Reads of the thread itself since it last answered. */
      readonly reads: readonly EndedCall[]
    }
  | {
      readonly kind: 'failed'
      readonly slot: number
      readonly error: ThreadError
      readonly reads: readonly EndedCall[]
    }

/** An error's fields, because a clone of an error loses its class and what we added to it. */
export interface ThreadError {
  readonly kind: ErrorKind
  readonly reason: string
  readonly message: string
  readonly retryAfterMs: number | undefined
}

export function packError(error: unknown): ThreadError {
  if (error instanceof CinderError) {
    const { kind, reason, message, retryAfterMs } = error
    return { kind, reason, message, retryAfterMs }
  }
  const message = error instanceof Error ? error.message : String(error)
  return { kind: 'internal', reason: 'query_thread', message, retryAfterMs: undefined }
}

export function unpackError({ kind, message, reason, retryAfterMs }: ThreadError): CinderError {
  return new CinderError(kind, message, { reason, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) })
}

/** Points of all series one after the other; series s has `lengths[s]` of them. */
interface PackedPoints {
  readonly labels: readonly LabelPair[][]
  readonly lengths: Uint32Array
  readonly steps: Float64Array
  readonly values: BigInt64Array
  readonly counts: Float64Array
}

export type PackedAnswer =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'labels'; readonly pieces: readonly Uint8Array[]; readonly stats: ReadStats }
  | { readonly kind: 'plain'; readonly answer: { readonly stats: ReadStats } }
  | { readonly kind: 'series'; readonly points: PackedPoints; readonly answer: { readonly stats: ReadStats } }
  | {
      readonly kind: 'points'
      readonly points: PackedPoints
      readonly exemplars: readonly PointExemplar[][]
      readonly answer: { readonly stats: ReadStats }
    }

type Answer = Awaited<ReturnType<QueryBackend[keyof QueryBackend]>>
type Packed = { readonly packed: PackedAnswer; readonly transfer: ArrayBuffer[] }

/** What may be given away with a request: whole buffers alone. */
export function transferOf(method: QueryMethod, request: QueryRequest): ArrayBuffer[] {
  if (method !== 'work') return []
  const work = request as ThreadWork
  return work.kind === 'gzip' ? [] : taskBuffers(work)
}

export function packBytes(bytes: Uint8Array) {
  const own = bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice()
  const transfer = own.length === 0 ? [] : [own.buffer as ArrayBuffer]
  return { packed: { kind: 'bytes', bytes: own } as const, transfer }
}

/** A piece is read in about 2 ms. */
const SETS_PER_PIECE = 2_000

export function packLabels({ sets, stats }: LabelReportResponse): Packed {
  const pieces: Uint8Array[] = []
  for (let at = 0; at < sets.length; at += SETS_PER_PIECE) {
    pieces.push(new TextEncoder().encode(JSON.stringify(sets.slice(at, at + SETS_PER_PIECE))))
  }
  return { packed: { kind: 'labels', pieces, stats }, transfer: pieces.map(({ buffer }) => buffer as ArrayBuffer) }
}

/** `turn` lets others do something in between. */
export async function unpackLabels(packed: PackedAnswer, turn: () => Promise<void>): Promise<LabelReportResponse> {
  if (packed.kind !== 'labels') throw new Error(`label sets came as ${packed.kind}`)
  const sets: LabelReportResponse['sets'] = []
  for (const [i, piece] of packed.pieces.entries()) {
    if (i > 0) await turn()
    for (const set of JSON.parse(new TextDecoder().decode(piece)) as LabelReportResponse['sets']) sets.push(set)
  }
  return { sets, stats: packed.stats }
}

export function unpackBytes(packed: PackedAnswer): Uint8Array {
  if (packed.kind !== 'bytes') throw new Error(`bytes came as ${packed.kind}`)
  return packed.bytes
}

export function packAnswer(answer: Answer): Packed {
  if ('ended' in answer && answer.ended !== undefined) return packEnded(answer, answer.ended)
  if ('part' in answer && answer.part !== undefined) {
    const { packed, transfer } = packBytes(answer.part)
    return { packed: { kind: 'plain', answer: { ...answer, part: packed.bytes } as typeof answer }, transfer }
  }
  if (!('series' in answer)) {
    const bytes = 'tree' in answer ? answer.tree : answer.stacks
    return { packed: { kind: 'plain', answer }, transfer: bytes.length === 0 ? [] : [bytes.buffer as ArrayBuffer] }
  }
  const { series, ...rest } = answer
  if (isTimeSeries(series)) {
    const points = packPoints(
      series.map(({ labels, stepIndexes, sums, counts }) => ({ labels, steps: stepIndexes, values: sums, counts })),
    )
    return { packed: { kind: 'series', points, answer: rest }, transfer: buffersOf(points) }
  }
  const points = packPoints(series)
  const exemplars = series.map((each) => each.exemplars)
  return { packed: { kind: 'points', points, exemplars, answer: rest }, transfer: buffersOf(points) }
}

/** What is ended is bytes: there are neither parts nor points beside it. */
function packEnded(answer: Answer, ended: Uint8Array | EndedSeries): Packed {
  const isSeries = 'seriesCount' in ended
  const { packed, transfer } = packBytes(isSeries ? ended.bytes : ended)
  if (!isSeries) return { packed: { kind: 'plain', answer: { ...answer, ended: packed.bytes } as Answer }, transfer }
  const gzip = ended.gzip === undefined ? undefined : packBytes(ended.gzip)
  const own = { ...answer, ended: { ...ended, bytes: packed.bytes, gzip: gzip?.packed.bytes } } as Answer
  return { packed: { kind: 'plain', answer: own }, transfer: [...transfer, ...(gzip?.transfer ?? [])] }
}

export function unpackAnswer(packed: PackedAnswer): Answer {
  if (packed.kind === 'plain') return packed.answer as Answer
  if (packed.kind === 'bytes' || packed.kind === 'labels') throw new Error(`an answer came as ${packed.kind}`)
  const columns = unpackPoints(packed.points)
  if (packed.kind === 'series') {
    const series = columns.map(({ labels, steps, values, counts }) => ({
      labels,
      stepIndexes: steps,
      sums: values,
      counts,
    }))
    return { ...packed.answer, series }
  }
  return { ...packed.answer, series: columns.map((each, s) => ({ ...each, exemplars: packed.exemplars[s]! })) }
}

function isTimeSeries(series: TimeSeries[] | PointSeries[]): series is TimeSeries[] {
  return series.length === 0 || 'stepIndexes' in series[0]!
}

type PointColumns = Pick<PointSeries, 'labels' | 'steps' | 'values' | 'counts'>

function packPoints(series: readonly PointColumns[]): PackedPoints {
  const lengths = Uint32Array.from(series, ({ steps }) => steps.length)
  const count = lengths.reduce((sum, length) => sum + length, 0)
  const steps = new Float64Array(count)
  const values = new BigInt64Array(count)
  const counts = new Float64Array(count)
  let at = 0
  for (const each of series) {
    steps.set(each.steps, at)
    values.set(each.values, at)
    counts.set(each.counts, at)
    at += each.steps.length
  }
  return { labels: series.map(({ labels }) => labels), lengths, steps, values, counts }
}

function unpackPoints({ labels, lengths, steps, values, counts }: PackedPoints): PointColumns[] {
  let at = 0
  return labels.map((each, s) => {
    const start = at
    at += lengths[s]!
    return {
      labels: each,
      steps: listOf<number>(steps, start, at),
      values: listOf<bigint>(values, start, at),
      counts: listOf<number>(counts, start, at),
    }
  })
}

/** Array.from walks an iterator: ten times the time, in the loop that answers. */
function listOf<Value>(column: ArrayLike<Value>, start: number, end: number): Value[] {
  const list: Value[] = []
  for (let i = start; i < end; i++) list.push(column[i]!)
  return list
}

function buffersOf({ lengths, steps, values, counts }: PackedPoints): ArrayBuffer[] {
  return [lengths, steps, values, counts].map(({ buffer }) => buffer as ArrayBuffer)
}
