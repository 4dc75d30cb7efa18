/**
 * What operators are told of a store, from what became of attempts. Pure but for what it remembers.
 *
 * 1. Writes of bytes and reads are judged apart: a store that is full answers reads.
 * 2. A run of faults is news when it has lasted 3 s and has three of them, or at once where the fault does not pass by
 *    itself: no space, no permission, no bucket. Any success, or any refusal that is an answer, ends it, and is where the
 *    next begins: large bodies may hang for seconds while small ones are answered.
 * It must not decide about requests (write-standing.ts does), so it forgets nothing: what failed last is what is known.
 */
import type { ErrorKind } from '../errors.ts'

export interface StoreFault {
  readonly kind: ErrorKind
  readonly reason: string
  readonly message: string
}

export interface EndedAttempt {
  readonly isWrite: boolean
  readonly startedMs: number
  readonly nowMs: number
}

export interface StoreCondition {
  /** `ok`, `no-writes`, `no-answer`: reads fail. */
  readonly state: 'ok' | 'no-writes' | 'no-answer'
  /** Begin of the first attempt that failed; 0 while all is well. */
  readonly sinceMs: number
  readonly lastError: string
}

export const FAULTS_MIN = 3
/** A restart of a balancer is no news. */
export const FAULTY_AFTER_MS = 3_000

/** Of writes: who may not list is told so of an object that is not there. */
const LASTING_KINDS: ReadonlySet<ErrorKind> = new Set(['permission_denied', 'unauthenticated'])
const LASTING_REASONS: ReadonlySet<string> = new Set(['storage_full', 'storage_failed', 'no_bucket', 'wrong_region'])
/** Of a call whose outcome tells of the store; all else is an answer. */
const PASSING_KINDS: ReadonlySet<ErrorKind> = new Set(['unavailable', 'deadline_exceeded', 'resource_exhausted'])

interface Run {
  faults: number
  sinceMs: number
  isNews: boolean
  lastError: string
}

export class StoreHealth {
  #writes: Run | undefined
  #reads: Run | undefined
  #writtenMs = Number.NEGATIVE_INFINITY
  #readMs = Number.NEGATIVE_INFINITY

  noteSuccess(isWrite: boolean, nowMs: number): void {
    if (isWrite) {
      this.#writes = undefined
      this.#writtenMs = nowMs
    } else {
      this.#reads = undefined
      this.#readMs = nowMs
    }
  }

  noteFailure(attempt: EndedAttempt, fault: StoreFault): void {
    const { isWrite, startedMs, nowMs } = attempt
    // Whoever left says nothing about the store.
    if (fault.kind === 'canceled') return
    const isLasting = (isWrite && LASTING_KINDS.has(fault.kind)) || LASTING_REASONS.has(fault.reason)
    if (!isLasting && !PASSING_KINDS.has(fault.kind)) return this.noteSuccess(isWrite, nowMs)
    const known = isWrite ? this.#writes : this.#reads
    const answeredMs = isWrite ? this.#writtenMs : this.#readMs
    // Later than now: the clock was set back.
    const sinceMs = answeredMs > nowMs ? startedMs : Math.max(startedMs, answeredMs)
    const run: Run = known ?? { faults: 0, sinceMs, isNews: false, lastError: '' }
    run.faults++
    run.lastError = fault.message
    run.isNews ||= isLasting || (run.faults >= FAULTS_MIN && nowMs - run.sinceMs >= FAULTY_AFTER_MS)
    if (isWrite) this.#writes = run
    else this.#reads = run
  }

  get condition(): StoreCondition {
    if (this.#reads?.isNews === true) return { state: 'no-answer', ...factsOf(this.#reads) }
    if (this.#writes?.isNews === true) return { state: 'no-writes', ...factsOf(this.#writes) }
    return { state: 'ok', sinceMs: 0, lastError: '' }
  }
}

function factsOf({ sinceMs, lastError }: Run): Pick<StoreCondition, 'sinceMs' | 'lastError'> {
  return { sinceMs, lastError }
}
