/**
 * Runs something for at most a time, by an injected clock. When the time is up, or the caller's signal fires, the run's
 * own signal fires and the result is what `onEnd` says, at once: what the run still does is not waited for.
 */
import type { Clock } from '#core/ports/clock.ts'

export interface TimeLimit {
  readonly clock: Clock
  readonly limitMs: number
  readonly signal: AbortSignal | undefined
  /** The error to throw. */
  readonly onEnd: (why: 'late' | 'canceled') => Error
}

export async function withinTime<T>(limit: TimeLimit, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { clock, limitMs, signal, onEnd } = limit
  if (signal?.aborted === true) throw onEnd('canceled')
  const own = new AbortController()
  const timer = new AbortController()
  const end = Promise.withResolvers<never>()
  const stop = (why: 'late' | 'canceled') => {
    // First the result, then the signal: what the run throws because of it is not the answer.
    end.reject(onEnd(why))
    own.abort()
  }
  const onAbort = () => stop('canceled')
  signal?.addEventListener('abort', onAbort)
  void clock.sleep(limitMs, timer.signal).then(() => {
    if (!timer.signal.aborted) stop('late')
  })
  const running = run(own.signal)
  // It may end long after its time; nobody listens then.
  running.catch(() => undefined)
  end.promise.catch(() => undefined)
  try {
    return await Promise.race([running, end.promise])
  } finally {
    timer.abort()
    signal?.removeEventListener('abort', onAbort)
  }
}
