/**
 * What becomes of a call of a query-backend that failed, and whom to ask: pure decisions.
 *
 * 1. Asked again is what another try may mend: no answer, an answer too late, a backend that is full and says when it is
 *    not. Never a refusal, and never an object that is gone or damaged: for that the query is planned anew.
 * 2. The next try goes to the next backend at once; with one address (which may balance over many) it waits, with jitter.
 *    A budget bounds retries to a tenth of what succeeds, as for stores.
 * 3. A backend that gave no answer is passed over for a second, doubling to half a minute; then one call may try it.
 *    One that was overtaken by its hedge three times in a row counts as such.
 */
import { type ErrorKind, isRetryable } from '../errors.ts'
import type { RetryBudget } from '../store/retry-policy.ts'

/** With a second backend dying during the first retry, a third still answers. */
export const CALL_ATTEMPTS_MAX = 3

const WAIT_BASE_MS = 100
const WAIT_MAX_MS = 2_000

export interface FailedCall {
  readonly kind: ErrorKind
  readonly retryAfterMs: number | undefined
  /** 1 for the first. */
  readonly attempt: number
  /** There is a backend that this call has not asked. */
  readonly hasOther: boolean
}

export type CallDecision = { readonly kind: 'retry'; readonly afterMs: number } | { readonly kind: 'give-up' }

/** `random` is in [0, 1). */
export function decideCall(failed: FailedCall, budget: RetryBudget, random: number): CallDecision {
  const { kind, attempt, retryAfterMs = 0, hasOther } = failed
  if (!mayPass(failed) || attempt >= CALL_ATTEMPTS_MAX || !budget.take()) return { kind: 'give-up' }
  if (hasOther) return { kind: 'retry', afterMs: 0 }
  // A whole deadline was waited for already.
  if (kind === 'deadline_exceeded') return { kind: 'give-up' }
  const jitterMs = Math.ceil(WAIT_BASE_MS * 2 ** (attempt - 1) * (1 + random))
  return { kind: 'retry', afterMs: Math.min(WAIT_MAX_MS, Math.max(retryAfterMs, jitterMs)) }
}

/** Exhausted without a time is a limit of the query itself, which every backend has. */
function mayPass({ kind, retryAfterMs }: FailedCall): boolean {
  return isRetryable(kind) && (kind !== 'resource_exhausted' || retryAfterMs !== undefined)
}

/** Whether a failure says something of the backend, not of the query. */
export function isBackendsFault(kind: ErrorKind): boolean {
  return kind === 'unavailable' || kind === 'deadline_exceeded'
}

const REST_BASE_MS = 1_000
const REST_MAX_MS = 30_000
const SLOW_MAX = 3

interface Health {
  failures: number
  slow: number
  restsUntilMs: number
}

export class BackendHealth {
  readonly #backends: Health[]

  constructor(count: number) {
    this.#backends = Array.from({ length: count }, () => ({ failures: 0, slow: 0, restsUntilMs: 0 }))
  }

  onAnswer(backend: number): void {
    Object.assign(this.#backends[backend]!, { failures: 0, slow: 0, restsUntilMs: 0 })
  }

  onFailure(backend: number, nowMs: number): void {
    const health = this.#backends[backend]!
    health.slow = 0
    const restMs = Math.min(REST_MAX_MS, REST_BASE_MS * 2 ** Math.min(health.failures++, 10))
    health.restsUntilMs = nowMs + restMs
  }

  onOvertaken(backend: number, nowMs: number): void {
    if (++this.#backends[backend]!.slow >= SLOW_MAX) this.onFailure(backend, nowMs)
  }

  /** The ranked backends, those that rest last. The first call after a rest is the probe: others pass by meanwhile. */
  order(ranked: readonly number[], nowMs: number): number[] {
    const rests = (backend: number): boolean => this.#backends[backend]!.restsUntilMs > nowMs
    const ready = ranked.filter((backend) => !rests(backend))
    const order = [...ready, ...ranked.filter(rests)]
    const probed = ready.length === 0 ? undefined : this.#backends[ready[0]!]!
    if (probed !== undefined && probed.failures > 0) probed.restsUntilMs = nowMs + REST_BASE_MS
    return order
  }
}
