/**
 * A clock that stands still until a test moves it. Sleeps end in the order of their time; between two of them everything
 * that can run without the clock has run, so a test sees the state that a real clock would pass through.
 */
import type { Clock } from '#core/ports/clock.ts'

export interface ManualClock extends Clock {
  /** Moves to now + durationMs, ending the sleeps on the way. */
  advance(durationMs: number): Promise<void>
  /** Ends the next sleep, however far; false if nobody sleeps. */
  advanceToNext(): Promise<boolean>
  sleeperCount(): number
}

interface Sleeper {
  readonly atMs: number
  readonly wake: () => void
}

/** Everything that waits for no clock and no input has run when it resolves. */
export function idle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(() => setImmediate(resolve))
  })
}

export function createManualClock(startMs: number): ManualClock {
  let nowMs = startMs
  let sleepers: Sleeper[] = []
  const next = (): Sleeper | undefined =>
    sleepers.reduce<Sleeper | undefined>(
      (first, sleeper) => (first === undefined || sleeper.atMs < first.atMs ? sleeper : first),
      undefined,
    )
  return {
    nowMs: () => nowMs,
    sleep(durationMs, signal) {
      if (durationMs <= 0 || signal?.aborted === true) return Promise.resolve()
      return new Promise((resolve) => {
        const sleeper: Sleeper = { atMs: nowMs + durationMs, wake: resolve }
        sleepers.push(sleeper)
        signal?.addEventListener('abort', () => {
          sleepers = sleepers.filter((other) => other !== sleeper)
          resolve()
        })
      })
    },
    async advance(durationMs) {
      const untilMs = nowMs + durationMs
      await idle()
      for (let sleeper = next(); sleeper !== undefined && sleeper.atMs <= untilMs; sleeper = next()) {
        wake(sleeper)
        await idle()
      }
      nowMs = untilMs
      await idle()
    },
    async advanceToNext() {
      await idle()
      const sleeper = next()
      if (sleeper !== undefined) wake(sleeper)
      await idle()
      return sleeper !== undefined
    },
    sleeperCount: () => sleepers.length,
  }

  function wake(sleeper: Sleeper): void {
    sleepers = sleepers.filter((other) => other !== sleeper)
    nowMs = Math.max(nowMs, sleeper.atMs)
    sleeper.wake()
  }
}
