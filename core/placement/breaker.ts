/**
 * The circuit breaker of one writer, as pure functions over a value:
 *
 * 1. closed: calls pass. Three in a row without an answer open it.
 * 2. open: no call passes for a second, doubling with every trip to half a minute, with jitter, so that edges which lost a
 *    writer together do not come back together.
 * 3. half-open: one call is the probe, others pass by. Its answer closes the breaker, none opens it for longer.
 *
 * Whatever a writer says, a refusal included, is an answer: 4xx and 429 are the client's. A writer that asks for time (503
 * with `Retry-After`) rests so long: it is asked after all others, and not cut off, because what fills it may be one tenant.
 */
import { CinderError } from '../errors.ts'
import { MS_PER_SECOND } from '../units.ts'

export type BreakerState = 'closed' | 'open' | 'half-open'

/** `given-up`: by its caller, before there was an answer; it says nothing of the writer. */
export type CallOutcome = 'answered' | 'overloaded' | 'no-answer' | 'given-up'

export interface Breaker {
  readonly state: BreakerState
  /** Calls without an answer, in a row. */
  readonly failures: number
  /** Times it opened without an answer in between. */
  readonly trips: number
  /** Of an open one: when a probe may pass. Of a half-open one: when its probe is taken for lost. */
  readonly untilMs: number
  readonly restsUntilMs: number
}

export const CLOSED_BREAKER: Breaker = { state: 'closed', failures: 0, trips: 0, untilMs: 0, restsUntilMs: 0 }

/** A dead writer costs so many calls a try elsewhere; a connection that was lost once or twice is no death. */
export const FAILURES_MAX = 3
export const OPEN_BASE_MS = MS_PER_SECOND
export const OPEN_MAX_MS = 30 * MS_PER_SECOND
/** A quarter to either side. */
const JITTER_SHARE = 0.25
/** As long as a call may take (attempts.ts): then its end is not awaited any more. */
export const PROBE_MAX_MS = 15 * MS_PER_SECOND
/** Our writers ask for a second. A proxy that asks for an hour is not believed. */
export const REST_MAX_MS = 5 * MS_PER_SECOND
const UNTIL_MAX_MS = OPEN_MAX_MS * (1 + JITTER_SHARE)

type Change = 'close' | 'count' | 'trip' | 'release' | 'keep'

/** An answer to a call that began before the breaker opened is an answer too. */
const CHANGES: Readonly<Record<BreakerState, Readonly<Record<CallOutcome, Change>>>> = {
  closed: { answered: 'close', overloaded: 'close', 'no-answer': 'count', 'given-up': 'keep' },
  open: { answered: 'close', overloaded: 'close', 'no-answer': 'keep', 'given-up': 'keep' },
  'half-open': { answered: 'close', overloaded: 'close', 'no-answer': 'trip', 'given-up': 'release' },
}

/** `probe`: a call may pass, and must say so (`onProbe`). `shut`: none may. */
export type Passage = 'free' | 'probe' | 'resting' | 'shut'

export function passageOf(breaker: Breaker, nowMs: number): Passage {
  const { state, untilMs, restsUntilMs } = breaker
  if (state !== 'closed') return isAhead(untilMs, nowMs, UNTIL_MAX_MS) ? 'shut' : 'probe'
  return isAhead(restsUntilMs, nowMs, REST_MAX_MS) ? 'resting' : 'free'
}

/** Further ahead than any wait reaches: the clock was set back since. */
function isAhead(untilMs: number, nowMs: number, mostMs: number): boolean {
  return untilMs > nowMs && untilMs - nowMs <= mostMs
}

export function onProbe(breaker: Breaker, nowMs: number): Breaker {
  return { ...breaker, state: 'half-open', untilMs: nowMs + PROBE_MAX_MS }
}

/** News of the table say that the writer serves: one that was away for long need not wait until its time is over. */
export function onServing(breaker: Breaker, nowMs: number): Breaker {
  return breaker.state === 'open' ? { ...breaker, untilMs: Math.min(breaker.untilMs, nowMs) } : breaker
}

export interface CallEnd {
  readonly outcome: CallOutcome
  /** What an overloaded writer asked for. */
  readonly retryAfterMs?: number | undefined
  readonly nowMs: number
  /** In [0, 1). */
  readonly random: number
}

export function onCallEnd(breaker: Breaker, end: CallEnd): Breaker {
  const { outcome, nowMs } = end
  switch (CHANGES[breaker.state][outcome]) {
    case 'close':
      return outcome === 'answered' ? CLOSED_BREAKER : { ...CLOSED_BREAKER, restsUntilMs: nowMs + restMs(end) }
    case 'count': {
      const failures = breaker.failures + 1
      return failures >= FAILURES_MAX ? trip({ ...breaker, failures }, end) : { ...breaker, failures }
    }
    case 'trip':
      return trip(breaker, end)
    case 'release':
      return { ...breaker, state: 'open', untilMs: nowMs }
    case 'keep':
      return breaker
  }
}

function trip(breaker: Breaker, { nowMs, random }: CallEnd): Breaker {
  const openMs = Math.min(OPEN_MAX_MS, OPEN_BASE_MS * 2 ** Math.min(breaker.trips, 10))
  const jitter = 1 + JITTER_SHARE * (2 * random - 1)
  return { ...breaker, state: 'open', trips: breaker.trips + 1, untilMs: nowMs + Math.round(openMs * jitter) }
}

function restMs({ retryAfterMs = 0 }: CallEnd): number {
  return Math.min(REST_MAX_MS, retryAfterMs)
}

/** Of a call that failed. A time to come back is a sign of life; so is any other error but one of the way there. */
export function outcomeOf(error: unknown): CallOutcome {
  if (!(error instanceof CinderError)) return 'answered'
  switch (error.kind) {
    case 'unavailable':
      return error.retryAfterMs === undefined ? 'no-answer' : 'overloaded'
    case 'deadline_exceeded':
      return 'no-answer'
    case 'canceled':
      return 'given-up'
    case 'unknown':
    case 'invalid_argument':
    case 'not_found':
    case 'already_exists':
    case 'permission_denied':
    case 'resource_exhausted':
    case 'failed_precondition':
    case 'aborted':
    case 'out_of_range':
    case 'unimplemented':
    case 'internal':
    case 'data_loss':
    case 'unauthenticated':
      return 'answered'
  }
}
