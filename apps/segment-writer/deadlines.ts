/**
 * One deadline for everything that waits: whoever waits longer than `afterMs` is told so.
 *
 * There is one timer, for the oldest, because a timer with its signal for every push costs 10 us, a hundredth of the push. It
 * is there only while somebody waits.
 * The time is a wall clock: after it was set back, whoever began in its future is told too early, and nobody too late.
 */
import type { Clock } from '#core/ports/clock.ts'

interface Waiting {
  readonly sinceMs: number
  readonly tellLate: () => void
}

export class Deadlines {
  readonly #clock: Clock
  readonly #afterMs: number
  readonly #late: () => Error
  /** Oldest first. */
  readonly #waiting = new Set<Waiting>()
  #timer: AbortController | undefined

  /** `late` makes the error of those that waited too long. */
  constructor(clock: Clock, afterMs: number, late: () => Error) {
    this.#clock = clock
    this.#afterMs = afterMs
    this.#late = late
  }

  /** What the work comes to, unless it is late. */
  async within<Result>(work: Promise<Result>): Promise<Result> {
    const late = Promise.withResolvers<never>()
    const waiting = { sinceMs: this.#clock.nowMs(), tellLate: () => late.reject(this.#late()) }
    this.#waiting.add(waiting)
    if (this.#timer === undefined) this.#arm(waiting.sinceMs)
    try {
      return await Promise.race([work, late.promise])
    } finally {
      this.#waiting.delete(waiting)
      if (this.#waiting.size === 0) this.#disarm()
    }
  }

  #arm(nowMs: number): void {
    const [oldest] = this.#waiting
    const timer = new AbortController()
    this.#timer = timer
    const leftMs = Math.min(this.#afterMs, oldest!.sinceMs + this.#afterMs - nowMs)
    void this.#clock.sleep(leftMs, timer.signal).then(() => {
      if (!timer.signal.aborted) this.#look()
    })
  }

  #look(): void {
    const nowMs = this.#clock.nowMs()
    for (const waiting of this.#waiting) {
      const isLate = nowMs - waiting.sinceMs >= this.#afterMs || nowMs < waiting.sinceMs
      if (!isLate) break
      this.#waiting.delete(waiting)
      waiting.tellLate()
    }
    this.#timer = undefined
    if (this.#waiting.size > 0) this.#arm(nowMs)
  }

  #disarm(): void {
    this.#timer?.abort()
    this.#timer = undefined
  }
}
