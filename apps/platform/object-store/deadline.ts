/**
 * One total deadline for a call, whatever retries and hedges do below: outermost of the wrappers. When it passes, the
 * call fails at once as `unavailable`, its requests are canceled, and a write may still have happened.
 */
import { CinderError } from '#core/errors.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import { type Patience, totalMs } from '#core/store/deadlines.ts'
import { aroundStore } from './around.ts'
import { withinTime } from './time-limit.ts'

export interface DeadlineOptions {
  readonly clock: Clock
  readonly patience: Patience
}

export function deadlineStore(inner: ObjectStore, { clock, patience }: DeadlineOptions): ObjectStore {
  return aroundStore(inner, (call, run) => {
    const { name, key, isWrite, signal } = call
    const limitMs = totalMs(call, patience)
    const outcome = isWrite ? 'unknown' : 'not-applied'
    const onEnd = (why: 'late' | 'canceled') =>
      why === 'canceled'
        ? new CinderError('canceled', `${name} ${key}: it was canceled`, { outcome })
        : new CinderError('unavailable', `${name} ${key}: the store did not do it within ${Math.round(limitMs)} ms`, {
            reason: 'store_deadline',
            outcome,
            retryAfterMs: 1_000,
          })
    return withinTime({ clock, limitMs, signal, onEnd }, (own) => run({ signal: own }))
  })
}
