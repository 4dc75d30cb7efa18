/** A clock that moves when told. A sleeper wakes when its time has come, or when its signal aborts. */
import type { Clock } from '#core/ports/clock.ts'

interface Sleeper {
  readonly wakeAtMs: number
  wake(): void
}

export class HandClock implements Clock {
  #nowMs: number
  readonly #sleepers = new Set<Sleeper>()

  constructor(startMs = 0) {
    this.#nowMs = startMs
  }

  nowMs(): number {
    return this.#nowMs
  }

  get sleeperCount(): number {
    return this.#sleepers.size
  }

  sleep(durationMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (durationMs <= 0 || signal?.aborted === true) {
        resolve()
        return
      }
      const sleeper = {
        wakeAtMs: this.#nowMs + durationMs,
        wake: () => {
          this.#sleepers.delete(sleeper)
          signal?.removeEventListener('abort', sleeper.wake)
          resolve()
        },
      }
      this.#sleepers.add(sleeper)
      signal?.addEventListener('abort', sleeper.wake)
    })
  }

  /** As timers do that do not follow the clock of the wall. */
  wakeAll(): void {
    for (const sleeper of this.#sleepers) sleeper.wake()
  }

  advance(durationMs: number): void {
    this.#nowMs += durationMs
    for (const sleeper of this.#sleepers) if (sleeper.wakeAtMs <= this.#nowMs) sleeper.wake()
  }
}
