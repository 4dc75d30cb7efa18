/**
 * The rate of requests that a store bears, found as TCP finds it: additive increase, multiplicative decrease.
 *
 * 1. Without a slow-down there is no limit and no wait.
 * 2. The first slow-down sets the limit to half of what was sent in the last second; each later one halves it again, at
 *    most once a second: answers to requests of one moment are one signal.
 * 3. Every second without a slow-down adds 10 requests a second; past 5,500, what S3 promises for one prefix, the limit
 *    is gone.
 * 4. A request reserves the next free slot. A wait over `WAIT_MAX_MS` is refused, so nothing queues without bound.
 */
export const RATE_MIN = 1
export const RATE_RELEASE = 5_500
const INCREASE_PER_SECOND = 10
const DECREASE_FACTOR = 0.5
const DECREASE_INTERVAL_MS = 1_000
/** 10 s of requests wait at most; the deadline of most calls is shorter. */
export const WAIT_MAX_MS = 10_000

export class AimdRate {
  #perSecond = Number.POSITIVE_INFINITY
  #nextSlotMs = 0
  #increasedAtMs = 0
  #decreasedAtMs = Number.NEGATIVE_INFINITY
  #windowStartMs = 0
  #sentInWindow = 0
  #sentInLastWindow = 0

  /** Infinity = no limit. */
  get perSecond(): number {
    return this.#perSecond
  }

  /** Takes a slot: how long to wait for it, or undefined if that would be too long. */
  reserve(nowMs: number): number | undefined {
    this.#increase(nowMs)
    const startMs = this.#perSecond === Number.POSITIVE_INFINITY ? nowMs : Math.max(nowMs, this.#nextSlotMs)
    if (startMs - nowMs > WAIT_MAX_MS) return undefined
    if (this.#perSecond !== Number.POSITIVE_INFINITY) this.#nextSlotMs = startMs + 1000 / this.#perSecond
    this.#count(nowMs)
    return startMs - nowMs
  }

  onSlowDown(nowMs: number): void {
    if (nowMs - this.#decreasedAtMs < DECREASE_INTERVAL_MS) return
    this.#count(nowMs, 0)
    const isFirst = this.#perSecond === Number.POSITIVE_INFINITY
    const current = isFirst ? Math.max(this.#sentInWindow, this.#sentInLastWindow) : this.#perSecond
    this.#perSecond = Math.max(RATE_MIN, current * DECREASE_FACTOR)
    this.#decreasedAtMs = nowMs
    this.#increasedAtMs = nowMs
    this.#nextSlotMs = Math.max(this.#nextSlotMs, nowMs + 1000 / this.#perSecond)
  }

  #increase(nowMs: number): void {
    if (this.#perSecond === Number.POSITIVE_INFINITY) return
    const seconds = Math.floor((nowMs - this.#increasedAtMs) / 1000)
    if (seconds < 1) return
    this.#increasedAtMs += seconds * 1000
    this.#perSecond += seconds * INCREASE_PER_SECOND
    if (this.#perSecond > RATE_RELEASE) this.#perSecond = Number.POSITIVE_INFINITY
  }

  #count(nowMs: number, requests = 1): void {
    const windows = Math.floor((nowMs - this.#windowStartMs) / 1000)
    if (windows >= 1) {
      this.#sentInLastWindow = windows === 1 ? this.#sentInWindow : 0
      this.#sentInWindow = 0
      this.#windowStartMs += windows * 1000
    }
    this.#sentInWindow += requests
  }
}
