/**
 * Tries a call again where that may help (core/store/retry-policy.ts), at a rate that the store bears.
 *
 * 1. An attempt first takes a slot of the rate limiter (core/store/aimd-rate.ts), reads and writes apart; 503 SlowDown
 *    and 429 lower the rate.
 * 2. It may take two fifths of the call's deadline; then it is given up and counts as failed.
 * 3. A write that a client waits for is refused at once while the store takes none (core/store/write-standing.ts); one at a
 *    time, of one attempt, finds out when it does again. Patient ones go on as ever.
 * 4. A put-if-absent that finds the key taken after an attempt without an answer reads the object: with our own bytes it
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
import { StoreHealth } from '#core/store/store-health.ts'
import { StoreStanding } from '#core/store/write-standing.ts'
import { aroundStore, type StoreCall } from './around.ts'
import { noteStoreFailure, tellsOfStore } from './observed.ts'
import { withinTime } from './time-limit.ts'

/** What one process has learned about a store; shared by all wrappers around it. */
export interface StorePace {
  readonly reads: AimdRate
  readonly writes: AimdRate
  readonly budget: RetryBudget
  readonly standing: StoreStanding
  /** For people. */
  readonly health: StoreHealth
}

export function createStorePace(): StorePace {
  const [reads, writes] = [new AimdRate(), new AimdRate()]
  return { reads, writes, budget: new RetryBudget(), standing: new StoreStanding(), health: new StoreHealth() }
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
  const { clock, pace, patience } = deps
  // Of the impatient alone, and by bodies alone: a store that is full deletes.
  if (patience !== 'interactive' || call.body === undefined) return await runAttempts(deps, call, run, undefined)
  const admission = pace.standing.admit(clock.nowMs())
  if (admission.kind === 'refuse') throw storeAway(deps, call, { retryAfterMs: admission.retryAfterMs })
  if (admission.kind === 'go') return await runAttempts(deps, call, run, pace.standing)
  try {
    return await runAttempts(deps, call, run, pace.standing)
  } finally {
    pace.standing.endProbe(admission.startedMs)
  }
}

async function runAttempts<T>(
  deps: Retrying,
  call: StoreCall,
  run: Run<T>,
  standing: StoreStanding | undefined,
): Promise<T> {
  const { clock, pace, random } = deps
  const rate = call.isWrite ? pace.writes : pace.reads
  let mayBeDone = false
  for (let attempt = 1; ; attempt++) {
    // A probe has a pace of its own.
    if (standing?.isAway !== true || attempt > 1) await takeSlot(deps, call, { rate, standing, mayBeDone })
    const startedMs = clock.nowMs()
    try {
      const result = await runOnce(deps, call, run)
      noteWorks(pace, call, clock.nowMs())
      return result
    } catch (thrown) {
      const error = asStoreError(thrown)
      if (isGone(call)) throw error
      if (error.kind === 'already_exists' && mayBeDone && (await isOurOwn(deps, call))) {
        noteWorks(pace, call, clock.nowMs())
        return undefined as T
      }
      noteStoreFailure(pace.health, call, { error, startedMs, nowMs: clock.nowMs() })
      // Any answer but a failure of the store itself shows that it works.
      if (!isRetryable(error.kind)) noteAnswer(pace, call, clock.nowMs())
      else if (isFault(error)) standing?.onFailure({ startedMs, nowMs: clock.nowMs() })
      if (error.reason === SLOW_DOWN_REASON) rate.onSlowDown(clock.nowMs())
      mayBeDone ||= error.outcome === 'unknown'
      if (standing?.isAway === true) throw storeAway(deps, call, { mayBeDone, cause: error })
      const { kind, reason, retryAfterMs } = error
      const decision = decideRetry({ kind, reason, retryAfterMs, attempt }, pace.budget, randomOf(random))
      if (decision.kind === 'give-up') throw mayBeDone ? withUnknownOutcome(error) : error
      await wait(deps, call, { durationMs: decision.afterMs, standing, mayBeDone })
      if (isGone(call)) throw error
    }
  }
}

function noteWorks(pace: StorePace, call: StoreCall, nowMs: number): void {
  if (tellsOfStore(call)) pace.health.noteSuccess(call.isWrite, nowMs)
  noteAnswer(pace, call, nowMs)
}

/** A success, or a refusal. */
function noteAnswer(pace: StorePace, call: StoreCall, nowMs: number): void {
  pace.budget.onSuccess()
  if (call.body !== undefined) pace.standing.onSuccess(nowMs)
}

/** Not a rival's write under way, nor a body that was damaged on the way. */
function isFault({ kind, reason }: CinderError): boolean {
  return kind !== 'aborted' && reason !== 'body_damaged'
}

interface Waiting {
  readonly standing: StoreStanding | undefined
  readonly mayBeDone: boolean
}

async function takeSlot(deps: Retrying, call: StoreCall, slot: Waiting & { readonly rate: AimdRate }): Promise<void> {
  const { rate } = slot
  const waitMs = rate.reserve(deps.clock.nowMs())
  if (waitMs === undefined)
    throw new CinderError(
      'resource_exhausted',
      `${call.name} ${call.key}: the store asked for fewer requests, and those that wait for a turn fill 10 s at ${rate.perSecond} a second`,
      { reason: 'store_rate', retryAfterMs: 1_000, outcome: slot.mayBeDone ? 'unknown' : 'not-applied' },
    )
  if (waitMs > 0) await wait(deps, call, { ...slot, durationMs: waitMs })
}

/** Who waits for a turn hears soon that it will not come. */
const LOOK_EVERY_MS = 250

async function wait(
  deps: Retrying,
  call: StoreCall,
  { durationMs, standing, mayBeDone }: Waiting & { readonly durationMs: number },
): Promise<void> {
  if (standing === undefined) return await deps.clock.sleep(durationMs, call.signal)
  for (let leftMs = durationMs; leftMs > 0 && !isGone(call); leftMs -= LOOK_EVERY_MS) {
    await deps.clock.sleep(Math.min(leftMs, LOOK_EVERY_MS), call.signal)
    if (standing.isAway) throw storeAway(deps, call, { mayBeDone })
  }
}

/** In words for agents; what the store said is the cause. */
function storeAway(
  { clock, pace }: Retrying,
  call: StoreCall,
  {
    mayBeDone = false,
    retryAfterMs = 1_000,
    cause,
  }: { readonly mayBeDone?: boolean; readonly retryAfterMs?: number; readonly cause?: unknown },
): CinderError {
  const nowMs = clock.nowMs()
  const seconds = Math.round((nowMs - (pace.standing.failingSinceMs ?? nowMs)) / 1_000)
  const message = `${call.name} ${call.key}: the object store takes no writes, none has succeeded for ${seconds} s`
  const outcome = mayBeDone ? 'unknown' : 'not-applied'
  return new CinderError('unavailable', message, { reason: 'store_away', outcome, retryAfterMs, cause })
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
