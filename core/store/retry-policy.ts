/**
 * When a call of a remote store is tried again, and after how long. Pure.
 *
 * 1. Only what may pass by itself is retried: `unavailable`, `aborted`, `resource_exhausted`, and a body that arrived
 *    damaged. Never a refusal: a missing permission does not appear by asking again.
 * 2. Waits grow by two from 50 ms to 2 s, with full jitter, so that clients that failed together do not return together.
 *    `Retry-After` is the least wait.
 * 3. A budget bounds retries to a tenth of what succeeds: with the store down it is used up within seconds, and every
 *    call then fails after its first attempt, which is what a client that can retry itself wants. Slow-downs cost
 *    nothing: the rate limiter paces them.
 * The number of attempts has a bound, and the deadline of the call another: whichever comes first.
 */
import type { ErrorKind } from '../errors.ts'

/** Reason of errors by which a store asks for a lower rate (503 SlowDown, 429). */
export const SLOW_DOWN_REASON = 'slow_down'

export interface FailedAttempt {
  readonly kind: ErrorKind
  readonly reason: string
  readonly retryAfterMs: number | undefined
  /** 1 for the first. */
  readonly attempt: number
}

export type RetryDecision = { readonly kind: 'retry'; readonly afterMs: number } | { readonly kind: 'give-up' }

const WAIT_BASE_MS = 50
const WAIT_MAX_MS = 2_000
/** 10 attempts wait about 5 s together; a slow-down may outlast them: its bound is the deadline. */
export const ATTEMPTS_MAX = 10
/** A body that arrives damaged three times is damaged where it lies. */
const DAMAGED_ATTEMPTS_MAX = 3
/** `random` is in [0, 1). */
export function decideRetry(failed: FailedAttempt, budget: RetryBudget, random: number): RetryDecision {
  if (!isPassing(failed)) return { kind: 'give-up' }
  const isSlowDown = failed.reason === SLOW_DOWN_REASON
  if (!isSlowDown && (failed.attempt >= ATTEMPTS_MAX || !budget.take())) return { kind: 'give-up' }
  const boundMs = Math.min(WAIT_MAX_MS, WAIT_BASE_MS * 2 ** Math.min(failed.attempt - 1, 30))
  return { kind: 'retry', afterMs: Math.max(failed.retryAfterMs ?? 0, Math.ceil(boundMs * random)) }
}

function isPassing({ kind, reason, attempt }: FailedAttempt): boolean {
  if (reason === 'body_damaged') return attempt < DAMAGED_ATTEMPTS_MAX
  return kind === 'unavailable' || kind === 'aborted' || kind === 'resource_exhausted'
}

/** 20 retries in a row before any success: a store that restarts is forgiven. */
const TOKENS_MAX = 20
const TOKENS_PER_SUCCESS = 0.1

export class RetryBudget {
  #tokens = TOKENS_MAX

  take(): boolean {
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }

  onSuccess(): void {
    this.#tokens = Math.min(TOKENS_MAX, this.#tokens + TOKENS_PER_SUCCESS)
  }
}
