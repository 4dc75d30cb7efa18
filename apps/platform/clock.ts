/** The real clock. A sleep ends early, without an error, when its signal aborts. */
import type { Clock } from '#core/ports/clock.ts'

export function createClock(): Clock {
  return {
    nowMs: () => Date.now(),
    sleep(durationMs, signal) {
      return new Promise((resolve) => {
        if (signal?.aborted === true) {
          resolve()
          return
        }
        const end = () => {
          clearTimeout(timer)
          signal?.removeEventListener('abort', end)
          resolve()
        }
        const timer = setTimeout(end, durationMs)
        signal?.addEventListener('abort', end)
      })
    },
  }
}
