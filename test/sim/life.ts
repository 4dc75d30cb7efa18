/**
 * One life of a process: what reaches it is delivered while it runs, held while it is paused, and dropped once it is
 * dead. A crash is thus the end of all its promises: none of them settles any more. What it sent is on its way.
 */
import type { Clock } from '#core/ports/clock.ts'
import type { Scheduler } from './scheduler.ts'

export class Life {
  readonly name: string
  readonly clock: Clock
  /** How far its clock is off. Its timers are not: they count the time that passes. */
  skewMs: number
  #isDead = false
  #isPaused = false
  #held: (() => void)[] = []
  readonly #scheduler: Scheduler

  constructor(name: string, scheduler: Scheduler, skewMs: number) {
    this.name = name
    this.skewMs = skewMs
    this.#scheduler = scheduler
    this.clock = {
      nowMs: () => scheduler.nowMs + this.skewMs,
      sleep: (durationMs, signal) => this.#sleep(durationMs, signal),
    }
  }

  get isDead(): boolean {
    return this.#isDead
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  deliver(run: () => void): void {
    if (this.#isDead) return
    if (this.#isPaused) this.#held.push(run)
    else run()
  }

  crash(): void {
    this.#isDead = true
    this.#held = []
  }

  pause(): void {
    this.#isPaused = true
  }

  /** What was held arrives one by one, in the order in which it came. */
  resume(): void {
    if (!this.#isPaused) return
    const run = this.#held.shift()
    if (run === undefined) {
      this.#isPaused = false
      return
    }
    if (!this.#isDead) run()
    this.#scheduler.after(0, () => this.resume())
  }

  #sleep(durationMs: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted === true) {
        resolve()
        return
      }
      const event = this.#scheduler.after(durationMs, () => {
        signal?.removeEventListener('abort', wake)
        this.deliver(resolve)
      })
      const wake = (): void => {
        event.run = undefined
        resolve()
      }
      signal?.addEventListener('abort', wake, { once: true })
    })
  }
}
