/**
 * Tries a call again where that may help (core/store/retry-policy.ts), at a rate that the store bears.
 *
 * 1. An attempt first takes a slot of the rate limiter (core/store/aimd-rate.ts), reads and writes apart; 503 SlowDown
 *    and 429 lower the rate.
 * 2. It may take two fifths of the call's deadline; then it is given up and counts as failed.
 * 3. A put-if-absent that finds the key taken after an attempt without an answer reads the object: with our own bytes it
 *    is our own, and the call succeeded.
 * The deadline of the whole call is a wrapper around this one; its signal ends the waits here.
 */
import { CinderError, isRetryable } from '#core/errors.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { ObjectStore, StoreCallOptions } from '#core/ports/object-store.ts'
import type { Random } from '#core/ports/random.ts'
import { AimdRate } from '#core/store/aimd-rate.ts'
import { attemptMs, type Patience } from '#core/store/deadlines.ts'
import { decideRetry, RetryBudget, SLOW_DOWN_REASON } from '#core/store/retry-policy.ts'
import { aroundStore, type StoreCall } from './around.ts'
import { withinTime } from './time-limit.ts'

/** What one process has learned about a store; shared by all wrappers around it. */
export interface StorePace {
  readonly reads: AimdRate
  readonly writes: AimdRate
  readonly budget: RetryBudget
}

export function createStorePace(): StorePace {
  return { reads: new AimdRate(), writes: new AimdRate(), budget: new RetryBudget() }
}

export interface RetryingOptions {
  readonly clock: Clock
  readonly random: Random
  readonly patience: Patience
  readonly pace: StorePace
}

export function retryingStore(inner: ObjectStore, options: RetryingOptions): ObjectStore {
  return aroundStore(inner, (call, run) => runWithRetries({ inner, ...options }, call, run))
}

interface Retrying extends RetryingOptions {
  readonly inner: ObjectStore
}

type Run<T> = (options: StoreCallOptions) => Promise<T>

async function runWithRetries<T>(deps: Retrying, call: StoreCall, run: Run<T>): Promise<T> {
  const { clock, pace, random } = deps
  const rate = call.isWrite ? pace.writes : pace.reads
  let mayBeDone = false
  for (let attempt = 1; ; attempt++) {
    await takeSlot(deps, call, rate)
    try {
      const result = await runOnce(deps, call, run)
      pace.budget.onSuccess()
      return result
    } catch (thrown) {
      const error = asStoreError(thrown)
      if (isGone(call)) throw error
      if (error.kind === 'already_exists' && mayBeDone && (await isOurOwn(deps, call))) return undefined as T
      // Any answer but a failure of the store itself shows that it works.
      if (!isRetryable(error.kind)) pace.budget.onSuccess()
      if (error.reason === SLOW_DOWN_REASON) rate.onSlowDown(clock.nowMs())
      mayBeDone ||= error.outcome === 'unknown'
      const { kind, reason, retryAfterMs } = error
      const decision = decideRetry({ kind, reason, retryAfterMs, attempt }, pace.budget, randomOf(random))
      if (decision.kind === 'give-up') throw mayBeDone ? withUnknownOutcome(error) : error
      await clock.sleep(decision.afterMs, call.signal)
      if (isGone(call)) throw error
    }
  }
}

async function takeSlot({ clock }: Retrying, call: StoreCall, rate: AimdRate): Promise<void> {
  const waitMs = rate.reserve(clock.nowMs())
  if (waitMs === undefined)
    throw new CinderError(
      'resource_exhausted',
      `${call.name} ${call.key}: the store asked for fewer requests, and those that wait for a turn fill 10 s at ${rate.perSecond} a second`,
      { reason: 'store_rate', retryAfterMs: 1_000 },
    )
  if (waitMs > 0) await clock.sleep(waitMs, call.signal)
}

function runOnce<T>({ clock, patience }: Retrying, call: StoreCall, run: Run<T>): Promise<T> {
  const limitMs = attemptMs(call, patience)
  const outcome = call.isWrite ? 'unknown' : 'not-applied'
  const onEnd = (why: 'late' | 'canceled') =>
    new CinderError(
      why === 'late' ? 'unavailable' : 'canceled',
      `${call.name} ${call.key}: ${why === 'late' ? `no answer within ${Math.round(limitMs)} ms` : 'it was canceled'}`,
      { reason: why === 'late' ? 'attempt_timeout' : 'canceled', outcome },
    )
  return withinTime({ clock, limitMs, signal: call.signal, onEnd }, (signal) => run({ signal }))
}

/** Nobody waits for the answer any more: the deadline passed, or the caller went. */
function isGone(call: StoreCall): boolean {
  return call.signal?.aborted === true
}

/** True if the object that is there has the bytes that we sent. */
async function isOurOwn({ inner }: Retrying, call: StoreCall): Promise<boolean> {
  if (call.name !== 'putIfAbsent' || call.body === undefined) return false
  const { body } = call
  try {
    const found = await inner.get(call.key, call.signal === undefined ? {} : { signal: call.signal })
    return found.length === body.length && found.every((byte, i) => byte === body[i])
  } catch {
    return false
  }
}

/** An earlier attempt may have been done, whatever became of the last. */
function withUnknownOutcome(error: CinderError): CinderError {
  if (error.outcome === 'unknown') return error
  const { reason, retryAfterMs, cause } = error
  return new CinderError(error.kind, error.message, {
    reason,
    outcome: 'unknown',
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    cause,
  })
}

function asStoreError(thrown: unknown): CinderError {
  if (thrown instanceof CinderError) return thrown
  return new CinderError('internal', String(thrown), { outcome: 'unknown', cause: thrown })
}

/** In [0, 1). */
function randomOf(random: Random): number {
  const [a, b, c, d] = random.bytes(4) as unknown as [number, number, number, number]
  return (((a << 24) | (b << 16) | (c << 8) | d) >>> 0) / 2 ** 32
}
