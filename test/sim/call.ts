/**
 * A call from one process to another, or to the store, over a line that loses, delays, repeats and reorders.
 *
 * 1. The request travels; at its end `apply` runs there, now or, if the other process is paused, when it goes on.
 * 2. The answer travels back. Whoever called hears one answer or the end of the deadline, never both.
 * 3. A request may land after its caller has given up, or died: nothing takes it back.
 */
import { CinderError } from '#core/errors.ts'
import type { Dice } from './dice.ts'
import type { CallFault } from './faults.ts'
import type { Life } from './life.ts'
import type { Scheduler } from './scheduler.ts'

export interface Line {
  readonly scheduler: Scheduler
  readonly dice: Dice
  readonly from: Life
  /** Undefined: the store, or Postgres, which do not die with a process of ours. */
  readonly to: Life | undefined
  readonly fault: CallFault
  readonly deadlineMs: number
  /** One way. */
  readonly delayMaxMs: number
}

/** A slow call takes this much longer than its line allows for; a late one lands this much after the deadline, at most. */
const SLOW_MS_MAX = 7_000
const LATE_MS_MAX = 12_000
const BROKEN_MS_MAX = 6_000

export function callOver<T>(line: Line, what: string, apply: () => T | Promise<T>): Promise<T> {
  const { scheduler, dice, from, to, fault } = line
  const travelMs = dice.between(0, line.delayMaxMs)
  const backMs = dice.between(0, line.delayMaxMs)
  const extraMs = dice.between(1, fault === 'slow' ? SLOW_MS_MAX : LATE_MS_MAX)
  // A broken line is noticed sooner than the deadline, mostly.
  const brokenMs = dice.between(50, BROKEN_MS_MAX)
  const isBroken = fault === 'lost-request' || fault === 'lost-answer' || fault === 'late'
  const deadlineMs = isBroken ? Math.min(brokenMs, line.deadlineMs) : line.deadlineMs
  return new Promise((resolve, reject) => {
    const deadline = scheduler.after(deadlineMs, () => from.deliver(() => reject(noAnswer(what))))
    const hear = (delayMs: number, settle: () => void): void => {
      scheduler.after(delayMs, () => {
        deadline.run = undefined
        from.deliver(settle)
      })
    }
    const refuse = (): void =>
      hear(backMs, () => reject(new CinderError('unavailable', `${what}: refused`, { reason: 'sim_refused' })))
    const arrive = (delayMs: number, isHeard: boolean): void => {
      scheduler.after(delayMs, () => {
        if (to?.isDead === true) {
          if (isHeard) refuse()
          return
        }
        const run = (): void => {
          start(apply).then(
            (value) => isHeard && hear(backMs, () => resolve(value)),
            (error: unknown) => isHeard && hear(backMs, () => reject(error)),
          )
        }
        if (to === undefined) run()
        else to.deliver(run)
      })
    }
    if (fault === 'refused') refuse()
    else if (fault === 'late') arrive(deadlineMs + extraMs, false)
    else if (fault === 'lost-request') return
    else {
      arrive(travelMs + (fault === 'slow' ? extraMs : 0), fault !== 'lost-answer')
      if (fault === 'twice') arrive(travelMs + extraMs, false)
    }
  })
}

function start<T>(apply: () => T | Promise<T>): Promise<T> {
  return new Promise((resolve) => {
    resolve(apply())
  })
}

function noAnswer(what: string): CinderError {
  return new CinderError('deadline_exceeded', `${what}: no answer`, { reason: 'sim_no_answer', outcome: 'unknown' })
}
