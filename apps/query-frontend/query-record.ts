/**
 * What is to be told beside the answer of one request: warnings of all its queries, and, for who asked, what they did.
 *
 * Both go out as headers, because messages of the API have no place for them: `X-Cinderblock-Warnings` (a JSON array of
 * sentences) and `X-Cinderblock-Explain` (a `QueryReport`, which may be bounded). `X-Pyroscope-Diagnostics-Id` names the
 * whole report, which is kept for a while (diagnostics.ts).
 */
import type { Clock } from '#core/ports/clock.ts'
import { makeUlid, ULID_RANDOM_BYTES } from '#core/wire/ulid.ts'
import { Diagnostics } from './diagnostics.ts'
import { webRandom } from './web-random.ts'
import { beginRun, headerJson, type QueryReport, type QueryRun } from '#core/query/plan-report.ts'

export const WARNINGS_HEADER = 'X-Cinderblock-Warnings'
export const EXPLAIN_HEADER = 'X-Cinderblock-Explain'
export const DIAGNOSTICS_ID_HEADER = 'X-Pyroscope-Diagnostics-Id'
const COLLECT_HEADER = 'X-Pyroscope-Collect-Diagnostics'

/** A difference has two sides with seven sentences each. */
const WARNINGS_MAX = 16
/** A request makes four queries at most; servers take 8 KiB of headers in all. */
const HEADER_CHARS_MAX = 4_096

/** Begins and ends the records of one app. */
export class QueryRecorder {
  readonly diagnostics = new Diagnostics()
  readonly #clock: Pick<Clock, 'nowMs'>

  constructor(clock: Pick<Clock, 'nowMs'>) {
    this.#clock = clock
  }

  begin(url: string, headers: Headers): QueryRecord {
    const nowMs = this.#clock.nowMs()
    const isExplained = isExplainAsked(url, headers)
    const id = isExplained ? makeUlid(Math.floor(nowMs), webRandom.bytes(ULID_RANDOM_BYTES)) : ''
    return new QueryRecord(id, { isExplained, nowMs })
  }

  /** The headers of the answer. */
  end(record: QueryRecord, tenants: readonly string[]): [name: string, value: string][] {
    const nowMs = this.#clock.nowMs()
    if (record.isExplained) this.diagnostics.keep(tenants, record.reportAt(nowMs))
    return record.headersAt(nowMs)
  }
}

export class QueryRecord {
  readonly id: string
  readonly isExplained: boolean
  readonly #startedMs: number
  readonly #runs: QueryRun[] = []
  readonly #warnings: string[] = []

  constructor(id: string, options: { readonly isExplained: boolean; readonly nowMs: number }) {
    this.id = id
    this.isExplained = options.isExplained
    this.#startedMs = options.nowMs
  }

  get warnings(): readonly string[] {
    return this.#warnings
  }

  begin(kind: string, range: { readonly startMs: number; readonly endMs: number }): QueryRun {
    const run = beginRun(kind, range)
    this.#runs.push(run)
    return run
  }

  /** Of the last query: what was done with its answers, while they were read or afterwards. */
  noteWork(stage: 'mergeMs' | 'finishMs', durationMs: number): void {
    const run = this.#runs.at(-1)
    if (run !== undefined) run.times[stage] += durationMs
  }

  warn(sentences: readonly string[]): void {
    for (const sentence of sentences) {
      if (this.#warnings.length < WARNINGS_MAX && !this.#warnings.includes(sentence)) this.#warnings.push(sentence)
    }
  }

  reportAt(nowMs: number): QueryReport {
    return { id: this.id, totalMs: nowMs - this.#startedMs, runs: this.#runs, warnings: this.#warnings }
  }

  /** None if there is nothing to tell. */
  headersAt(nowMs: number): [name: string, value: string][] {
    const headers: [string, string][] = []
    if (this.#warnings.length > 0) headers.push([WARNINGS_HEADER, bounded(this.#warnings)])
    if (!this.isExplained) return headers
    headers.push([DIAGNOSTICS_ID_HEADER, this.id])
    // Warnings have their own header.
    const report = headerJson({ ...this.reportAt(nowMs), warnings: [] })
    if (report.length <= HEADER_CHARS_MAX) headers.push([EXPLAIN_HEADER, report])
    return headers
  }
}

/** `?explain=1`, or the header by which clients of Pyroscope ask. */
export function isExplainAsked(url: string, headers: Headers): boolean {
  if (headers.get(COLLECT_HEADER) === 'true') return true
  const asked = url.includes('explain=') ? new URL(url, 'http://server').searchParams.get('explain') : null
  return asked === '1' || asked === 'true'
}

/** The first sentence says how much is missing; the last go first. */
function bounded(warnings: readonly string[]): string {
  let shown = [...warnings]
  while (shown.length > 1 && headerJson(shown).length > HEADER_CHARS_MAX) shown = shown.slice(0, -1)
  return headerJson(shown)
}
