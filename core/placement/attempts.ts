/**
 * Which writer is asked next, and whether one is asked at all: pure decisions about one push and its writers, best first.
 *
 * 1. The first writer that is free, or whose breaker wants a probe; else the first that rests; never one that was asked by
 *    this push already, and never one that is shut. So at most three in all, as many as a router gives.
 * 2. Asked again is what another writer may mend: no answer, too late, or a writer that has no room and says when it will.
 *    Not a tenant over its rate (429): the rate is the tenant's at every writer. Not a fault of the push.
 * 3. Only while enough of the client's time is left, and no longer than that, and within a budget of a tenth of what
 *    succeeds, so that a store that is away does not become three calls a push.
 */
import { isRetryable, type ErrorKind } from '../errors.ts'
import type { RetryBudget } from '../store/retry-policy.ts'
import { MIB, MS_PER_SECOND } from '../units.ts'
import { type Breaker, passageOf } from './breaker.ts'

/** Agents give up after ten seconds: then nobody reads the answer of another try. */
export const PUSH_DEADLINE_MS = 9_500
/** A flush of a busy writer takes half a second: with less left another try only costs. */
export const LEAST_ATTEMPT_MS = 500
/** A writer answers within 8 s whatever happens: past it the network or its machine is gone. */
const ATTEMPT_BASE_MS = 10 * MS_PER_SECOND
/** 16 MiB a second, as for stores (core/store/deadlines.ts). */
const BYTES_PER_MS = (16 * MIB) / MS_PER_SECOND
/**
 * A busy writer on a slow store is this late at times. A machine that is gone is so always: whoever waited so long asks
 * whether it lives, and has time to go elsewhere.
 */
export const LATE_MS = 2 * MS_PER_SECOND

export function attemptDeadlineMs(sizeBytes: number): number {
  return ATTEMPT_BASE_MS + Math.ceil(sizeBytes / BYTES_PER_MS)
}

/** Of a try elsewhere: it ends in time for the client to hear what the writer before said, instead of hanging up. */
export function laterAttemptDeadlineMs(sizeBytes: number, elapsedMs: number): number {
  const leftMs = Math.max(LEAST_ATTEMPT_MS, PUSH_DEADLINE_MS - elapsedMs)
  return leftMs + Math.ceil(sizeBytes / BYTES_PER_MS)
}

export type Pick =
  | { readonly kind: 'writer'; readonly writer: number; readonly isProbe: boolean }
  /** `afterMs`: until the first of those not asked yet may be probed; undefined = all were asked. */
  | { readonly kind: 'none'; readonly afterMs: number | undefined }

/** `order`: indexes of writers, best first. `asked`: by this push. */
export function pickWriter(
  order: readonly number[],
  asked: readonly number[],
  breakerOf: (writer: number) => Breaker,
  nowMs: number,
): Pick {
  let resting: number | undefined
  let afterMs: number | undefined
  for (const writer of order) {
    if (asked.includes(writer)) continue
    const breaker = breakerOf(writer)
    switch (passageOf(breaker, nowMs)) {
      case 'free':
        return { kind: 'writer', writer, isProbe: false }
      case 'probe':
        return { kind: 'writer', writer, isProbe: true }
      case 'resting':
        resting ??= writer
        break
      case 'shut':
        afterMs = Math.min(afterMs ?? Number.POSITIVE_INFINITY, breaker.untilMs - nowMs)
        break
    }
  }
  if (resting !== undefined) return { kind: 'writer', writer: resting, isProbe: false }
  return { kind: 'none', afterMs }
}

export interface FailedAttempt {
  readonly kind: ErrorKind
  /** Since the push came. */
  readonly elapsedMs: number
  /** The client has hung up, or its deadline is over. */
  readonly isGone: boolean
}

export function mayTryElsewhere({ kind, elapsedMs, isGone }: FailedAttempt, budget: RetryBudget): boolean {
  if (isGone || !mayPassElsewhere(kind) || elapsedMs > PUSH_DEADLINE_MS - LEAST_ATTEMPT_MS) return false
  return budget.take()
}

export function mayPassElsewhere(kind: ErrorKind): boolean {
  return isRetryable(kind) && kind !== 'resource_exhausted'
}
