/**
 * Answers to what clients sent, by status: of this process, or of an isolate of a worker, which knows no other. For whoever
 * looks at one edge; the whole is in the metrics of segment-writers.
 */
import type { Clock } from '#core/ports/clock.ts'
import type { Fetch } from '#platform/http/metrics.ts'

export interface AnswerReport {
  readonly since: string
  readonly answers: Readonly<Record<string, number>>
}

export class AnswerCounts {
  readonly #clock: Pick<Clock, 'nowMs'>
  /** As many as HTTP has. */
  readonly #byStatus = new Map<number, number>()
  #sinceMs: number | undefined

  constructor(clock: Pick<Clock, 'nowMs'>) {
    this.#clock = clock
  }

  watch(serve: Fetch): Fetch {
    return async (request) => {
      // Not when it was made: a worker has no time before its first request.
      this.#sinceMs ??= this.#clock.nowMs()
      let status = 500
      try {
        const response = await serve(request)
        status = response.status
        return response
      } finally {
        if (request.method === 'POST') this.#byStatus.set(status, (this.#byStatus.get(status) ?? 0) + 1)
      }
    }
  }

  report(): AnswerReport {
    const answers = [...this.#byStatus].sort(([a], [b]) => a - b).map(([status, count]) => [String(status), count])
    return {
      since: new Date(this.#sinceMs ?? this.#clock.nowMs()).toISOString(),
      answers: Object.fromEntries(answers) as Record<string, number>,
    }
  }
}
