/**
 * Segments that were not committed, in the log: while the store or the metastore is away every flush ends so, at once, and
 * a busy writer would write three hundred lines a second that say one thing.
 *
 * 1. The first failure of a reason is a line at once.
 * 2. Those that follow within `SAME_EVERY_MS` are counted; the next line says how many were left out.
 * Must not: keep back a reason that is new.
 */
import type { CinderError } from '#core/errors.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'

/** A dozen lines a minute are read; agents come again every ten seconds or so. */
export const SAME_EVERY_MS = 5_000
/** Reasons are words of ours, a few dozen; a server of a later version may have others. */
const REASONS_MAX = 256

interface Told {
  atMs: number
  leftOut: number
}

export interface FailureLogDeps {
  readonly clock: Pick<Clock, 'nowMs'>
  readonly log: Log
}

export class FailureLog {
  readonly #deps: FailureLogDeps
  readonly #told = new Map<string, Told>()

  constructor(deps: FailureLogDeps) {
    this.#deps = deps
  }

  notCommitted(failure: CinderError, fields: Readonly<Record<string, unknown>>): void {
    const { clock, log } = this.#deps
    const nowMs = clock.nowMs()
    const told = this.#told.get(failure.reason)
    // Negative: the clock was set back.
    const agoMs = told === undefined ? SAME_EVERY_MS : nowMs - told.atMs
    if (told !== undefined && agoMs >= 0 && agoMs < SAME_EVERY_MS) {
      told.leftOut++
      return
    }
    if (this.#told.size >= REASONS_MAX) this.#told.clear()
    this.#told.set(failure.reason, { atMs: nowMs, leftOut: 0 })
    const { kind, message } = failure
    const leftOut = told?.leftOut ?? 0
    log.warn('segment not committed', { ...fields, kind, message, ...(leftOut > 0 && { alike: leftOut }) })
  }
}
