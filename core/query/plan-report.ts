/**
 * What a query did, for who asks (`explain`): its plan, what was read, and where the time went. Travels as JSON of
 * printable ASCII in a header, so everything in it is bounded.
 */
import type { ReadStats } from '../rpc/query-backend.ts'

export interface StageTimes {
  planMs: number
  /** For admission. */
  waitMs: number
  /** Calls of query-backends, with what they take on the way. */
  readMs: number
  /** Of that, the work of this process on answers as they came. */
  mergeMs: number
  /** The rest of the work: merged, cut, encoded. Of several queries that make one answer, told of the last. */
  finishMs: number
}

/** One run of a query; a difference of two flame graphs is two. */
export interface QueryRun {
  readonly kind: string
  readonly startMs: number
  readonly endMs: number
  /** Plans made: the second with fresh metadata, after an object was gone or damaged. */
  plans: number
  objects: number
  datasets: number
  /** What it might have read at most. */
  planBytes: number
  /** Objects by level. */
  readonly levels: Record<string, number>
  calls: number
  /** How many query-backends the calls were spread over. */
  backends: number
  /** Sums over all answers; backends may report more than we know by name. */
  readonly read: Partial<Record<string, number>>
  readonly times: StageTimes
}

export interface QueryReport {
  readonly id: string
  readonly totalMs: number
  readonly runs: readonly QueryRun[]
  readonly warnings: readonly string[]
}

export function beginRun(kind: string, range: { readonly startMs: number; readonly endMs: number }): QueryRun {
  return {
    kind,
    startMs: range.startMs,
    endMs: range.endMs,
    plans: 0,
    objects: 0,
    datasets: 0,
    planBytes: 0,
    levels: {},
    calls: 0,
    backends: 0,
    read: {},
    times: { planMs: 0, waitMs: 0, readMs: 0, mergeMs: 0, finishMs: 0 },
  }
}

export function addStats(run: QueryRun, stats: ReadStats): void {
  for (const [name, value] of Object.entries(stats)) {
    if (typeof value === 'number') run.read[name] = (run.read[name] ?? 0) + value
  }
}

/** JSON that a header can carry: every character beyond printable ASCII as its escape. */
export function headerJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[^ -~]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
