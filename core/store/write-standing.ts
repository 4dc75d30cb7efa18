/**
 * Whether a store takes writes at all, judged by what became of them. Pure but for what it remembers.
 *
 * 1. Failures of the store itself (no answer, 5xx, SlowDown) make a run; any success, or any refusal that is an answer, ends it.
 *    A run is no older than the last success: large writes may hang for seconds while small ones are stored.
 * 2. The store is away when a run has lasted 3 s and has three failures: a store that is only busy takes some writes
 *    meanwhile, and its rate is found by aimd-rate.ts alone.
 * 3. While it is away a write is refused at once, but one at a time goes as a probe, every 500 ms: what is probed with is a
 *    write that somebody waits for, so the first success stores something and is the end of it.
 * 4. A run that nobody has added to for a minute is forgotten: the next write is worth its retries.
 * It must not judge by reads, which work where a store is full, and must not refuse what could be the probe.
 */
export interface WriteStanding {
  /** False: refuse at once, unless `admit` lets one through. */
  readonly isAway: boolean
  /** Begin of the first attempt that failed without a success since, or that success; undefined: none did. */
  readonly failingSinceMs: number | undefined
}

export type Admission =
  | { readonly kind: 'go' }
  /** One attempt; `endProbe` when it is over, either way. */
  | { readonly kind: 'probe'; readonly startedMs: number }
  /** Nothing was sent. */
  | { readonly kind: 'refuse'; readonly retryAfterMs: number }

/** Half of what a write has in all (deadlines.ts): a balancer that restarts is back within two seconds. */
export const AWAY_AFTER_MS = 3_000
/** One call alone makes them, with its retries. */
export const AWAY_FAILURES_MIN = 3
/** Two requests a second burden nobody, and a store that is back is found at once. */
export const PROBE_EVERY_MS = 500
/** An attempt of a small write has ended by then; that of a large one must not keep others from finding out. */
export const PROBE_ALONE_MS = 2_500
/** Agents push every 10 or 15 s. */
export const FORGET_AFTER_MS = 60_000

export class StoreStanding implements WriteStanding {
  #failures = 0
  #sinceMs: number | undefined
  #lastMs = 0
  #storedMs = Number.NEGATIVE_INFINITY
  #isAway = false
  #probeStartedMs = Number.NEGATIVE_INFINITY
  #isProbing = false

  get isAway(): boolean {
    return this.#isAway
  }

  get failingSinceMs(): number | undefined {
    return this.#sinceMs
  }

  admit(nowMs: number): Admission {
    this.#forget(nowMs)
    if (!this.#isAway) return { kind: 'go' }
    const sinceProbeMs = nowMs - this.#probeStartedMs
    const waitMs = (this.#isProbing ? PROBE_ALONE_MS : PROBE_EVERY_MS) - sinceProbeMs
    // Negative: the clock was set back.
    if (sinceProbeMs >= 0 && waitMs > 0) return { kind: 'refuse', retryAfterMs: RETRY_AFTER_MS }
    this.#isProbing = true
    this.#probeStartedMs = nowMs
    return { kind: 'probe', startedMs: nowMs }
  }

  endProbe(startedMs: number): void {
    if (startedMs === this.#probeStartedMs) this.#isProbing = false
  }

  onSuccess(nowMs: number): void {
    this.#storedMs = nowMs
    this.#endRun()
  }

  onFailure(attempt: { readonly startedMs: number; readonly nowMs: number }): void {
    const { startedMs, nowMs } = attempt
    this.#forget(nowMs)
    this.#failures++
    // Later than now: the clock was set back.
    const beganMs = this.#storedMs > nowMs ? startedMs : Math.max(startedMs, this.#storedMs)
    this.#sinceMs = Math.min(this.#sinceMs ?? beganMs, beganMs)
    this.#lastMs = nowMs
    if (this.#failures >= AWAY_FAILURES_MIN && nowMs - this.#sinceMs >= AWAY_AFTER_MS) this.#isAway = true
  }

  #forget(nowMs: number): void {
    if (this.#sinceMs === undefined) return
    const agoMs = nowMs - this.#lastMs
    if (agoMs < 0 || agoMs >= FORGET_AFTER_MS) this.#endRun()
  }

  #endRun(): void {
    this.#failures = 0
    this.#sinceMs = undefined
    this.#isAway = false
  }
}

/** What clients are told: agents count in whole seconds. */
const RETRY_AFTER_MS = 1_000
