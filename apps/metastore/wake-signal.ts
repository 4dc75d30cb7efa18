/** Wakes all who wait. A hint: who waits also wakes by itself after a while and looks. */
import type { Clock } from '#core/ports/clock.ts'

export class WakeSignal {
  #next = new AbortController()

  wake(): void {
    const current = this.#next
    this.#next = new AbortController()
    current.abort()
  }

  /** A mark of now: waiting on it ends at once if a wake came after it was taken. */
  get mark(): AbortSignal {
    return this.#next.signal
  }

  async wait(clock: Clock, mark: AbortSignal, options: { maxMs: number; signal: AbortSignal }): Promise<void> {
    if (options.maxMs <= 0) return
    await clock.sleep(options.maxMs, AbortSignal.any([mark, options.signal]))
  }
}
