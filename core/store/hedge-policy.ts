/**
 * When a second copy of a request is sent because the first takes too long. Pure.
 *
 * 1. Too long is twice the 95th percentile of the last 64 answers of the same kind, within bounds, and the time that the
 *    bytes take at 8 MiB/s: large bodies are no stalls.
 * 2. A budget keeps hedges to one in twenty requests: a store that is slow as a whole is not sent twice the load.
 *    A slow-down empties it.
 */
export interface HedgeBounds {
  /** Before there are answers to learn from. */
  readonly initialMs: number
  readonly leastMs: number
  readonly mostMs: number
}

/** Reads: S3 answers in 20 ms, one in a hundred in 200. */
export const READ_HEDGE: HedgeBounds = { initialMs: 500, leastMs: 50, mostMs: 1_000 }
/** Writes: 40 ms, one in a hundred in 400. A push waits for one, and its client for 10 s. */
export const WRITE_HEDGE: HedgeBounds = { initialMs: 1_000, leastMs: 200, mostMs: 1_500 }

const WINDOW = 64
/** Fewer answers say nothing about a 95th percentile. */
const ANSWERS_MIN = 16
const BYTES_PER_MS = (8 * 1024 * 1024) / 1000
const TOKENS_MAX = 10
const TOKENS_PER_REQUEST = 0.05

export class HedgeDelay {
  readonly #bounds: HedgeBounds
  readonly #durationsMs = new Float64Array(WINDOW)
  #answers = 0

  constructor(bounds: HedgeBounds) {
    this.#bounds = bounds
  }

  onAnswer(durationMs: number, sizeBytes: number): void {
    this.#durationsMs[this.#answers++ % WINDOW] = Math.max(0, durationMs - sizeBytes / BYTES_PER_MS)
  }

  delayMs(sizeBytes: number): number {
    const { initialMs, leastMs, mostMs } = this.#bounds
    const transferMs = sizeBytes / BYTES_PER_MS
    if (this.#answers < ANSWERS_MIN) return initialMs + transferMs
    const sorted = this.#durationsMs.slice(0, Math.min(this.#answers, WINDOW)).sort()
    const p95Ms = sorted[Math.floor(sorted.length * 0.95)]!
    return Math.min(mostMs, Math.max(leastMs, 2 * p95Ms)) + transferMs
  }
}

export class HedgeBudget {
  #tokens = TOKENS_MAX

  onRequest(): void {
    this.#tokens = Math.min(TOKENS_MAX, this.#tokens + TOKENS_PER_REQUEST)
  }

  take(): boolean {
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }

  onSlowDown(): void {
    this.#tokens = 0
  }
}
