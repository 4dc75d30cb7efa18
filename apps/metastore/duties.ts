/**
 * Singleton duties: what one process at a time must do every so often (cleaning, retention, orphans, …), each under a
 * lease of its own, so that one that fails or hangs harms no other.
 *
 * 1. `look` asks the database, in one statement, which duties are due and whose lease is free: on a timer, and on every
 *    poll of a worker, so that a metastore that was scaled to zero leaves no tail behind. A quiet replica looks when the
 *    next duty is due, and at least once a lease's time.
 * 2. Who gets the lease of a due one writes its beginning, runs it, and writes its end with the time of the next run.
 * 3. While it runs its lease is renewed. If that fails, or the run takes longer than its maximum, its signal aborts: it
 *    must write nothing more. What it writes carries the term all the same, and is refused once the epoch moved.
 * 4. A run that fails is repeated after a delay that doubles. So is one whose process died: its beginning counted as a
 *    failure. A run that is stopped with its process is due again at once.
 *
 * It must not trust its own clock but for durations, and must not run a duty twice at once.
 */
import { assert } from '#core/assert.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import { MS_PER_MINUTE, MS_PER_SECOND } from '#core/units.ts'
import type { Sql } from '#db/client.ts'
import {
  beginDuty,
  type DueDuty,
  type DutyEnd,
  type DutyState,
  finishDuty,
  selectDueDuties,
  selectDutyStates,
} from '#db/sql/duties.ts'
import { acquireLease, type LeaseTerm, releaseLease } from '#db/sql/leases.ts'

export interface Duty {
  /** Also of its lease. */
  readonly name: string
  /** From the end of a run to the next. */
  readonly intervalMs: number
  /** A run is stopped after it and counts as failed. Default RUN_MAX_MS. */
  readonly runMaxMs?: number
  /** The longest wait after failures; for a duty that looks after many, and waits for each by itself. Default a quarter of an hour. */
  readonly retryMaxMs?: number
  /** One run. Every write carries the term, or is such that two at once do no harm; when the signal aborts it ends soon. */
  run(term: LeaseTerm, signal: AbortSignal): Promise<void>
}

export interface DutiesDeps {
  readonly sql: Sql
  readonly clock: Clock
  readonly log: Log
  /** Unique per process start. */
  readonly holder: string
  readonly leaseTtlMs: number
}

/** Each may run at once, on a connection of its own. */
const DUTIES_MAX = 16
/** Larger work goes in slices over several runs. */
const RUN_MAX_MS = 10 * MS_PER_MINUTE
/** 5 s, 10 s, … a quarter of an hour: soon enough after a short outage, seldom enough for a log. */
const RETRY = { baseMs: 5 * MS_PER_SECOND, maxMs: 15 * MS_PER_MINUTE }
/** Polls come many a second; the database is asked at most so often. */
const LOOK_MIN_MS = 250
/** Renewals of a running duty in one time of its lease: two may be lost. */
const RENEWALS_PER_TTL = 3

/** How long until the next look: when the first duty is due and free, within bounds. Pure. */
export function nextLookInMs(due: readonly DueDuty[], leaseTtlMs: number): number {
  const waits = due.map(({ dueInMs, heldForMs }) => Math.max(dueInMs, heldForMs))
  return Math.max(LOOK_MIN_MS, Math.min(leaseTtlMs, ...waits))
}

export class Duties {
  readonly #deps: DutiesDeps
  readonly #duties: readonly Duty[]
  readonly #stopping = new AbortController()
  readonly #running = new Map<string, Promise<void>>()
  #looking: Promise<void> | undefined
  #lookedMs = Number.NEGATIVE_INFINITY
  #lookAfterMs = 0
  #isFailing = false
  #loop: Promise<void> | undefined

  constructor(deps: DutiesDeps, duties: readonly Duty[]) {
    assert(duties.length <= DUTIES_MAX, `at most ${DUTIES_MAX} duties`)
    assert(new Set(duties.map(({ name }) => name)).size === duties.length, 'two duties have one name')
    this.#deps = deps
    this.#duties = duties
  }

  /** Looks if it is time to. Resolves when what was due has begun; its end is not waited for. Never fails. */
  async tick(): Promise<void> {
    const sinceMs = this.#deps.clock.nowMs() - this.#lookedMs
    // Negative: the clock was set back, by how much nobody knows.
    if (this.#stopping.signal.aborted || (sinceMs >= 0 && sinceMs < this.#lookAfterMs)) return
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
    })
    await this.#looking
  }

  /** For a call that drives the duties by itself, as cron does: what is due now has also ended when it resolves. */
  async runDue(): Promise<void> {
    this.#lookAfterMs = 0
    await this.tick()
    await Promise.all(this.#running.values())
  }

  start(): void {
    this.#loop ??= this.#every()
  }

  /** Running duties are told to end, and their leases are given back. May come twice, and before the start. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#loop
    await this.#looking
    await Promise.all(this.#running.values())
  }

  /** All leases and duties of this database, whoever has them. */
  async states(): Promise<DutyState[]> {
    return await selectDutyStates(this.#deps.sql)
  }

  async #every(): Promise<void> {
    const { clock } = this.#deps
    while (!this.#stopping.signal.aborted) {
      await this.tick()
      await clock.sleep(Math.max(LOOK_MIN_MS, this.#lookAfterMs), this.#stopping.signal)
    }
  }

  async #look(): Promise<void> {
    const { sql, clock, log, leaseTtlMs } = this.#deps
    this.#lookedMs = clock.nowMs()
    this.#lookAfterMs = leaseTtlMs / 2
    try {
      const idle = this.#duties.filter(({ name }) => !this.#running.has(name))
      const due = await selectDueDuties(
        sql,
        idle.map(({ name }) => name),
      )
      this.#lookAfterMs = nextLookInMs(due, leaseTtlMs)
      const free = new Set(due.filter((each) => each.dueInMs <= 0 && each.heldForMs <= 0).map(({ name }) => name))
      await Promise.all(idle.filter(({ name }) => free.has(name)).map((duty) => this.#begin(duty)))
      if (this.#isFailing) log.info('duties go on')
      this.#isFailing = false
    } catch (error) {
      // Once an outage, not once a look.
      if (!this.#isFailing) log.warn('duties wait: the database was not asked', { error })
      this.#isFailing = true
    }
  }

  async #begin(duty: Duty): Promise<void> {
    const { sql, clock, holder, leaseTtlMs } = this.#deps
    if (this.#stopping.signal.aborted) return
    const startedMs = clock.nowMs()
    const term = await acquireLease(sql, { name: duty.name, holder, epoch: undefined, ttlMs: leaseTtlMs })
    if (term === undefined) return
    const retry = { baseMs: RETRY.baseMs, maxMs: duty.retryMaxMs ?? RETRY.maxMs }
    if (!(await beginDuty(sql, term, retry))) {
      await releaseLease(sql, term)
      return
    }
    const running = this.#run(duty, term, startedMs).finally(() => this.#running.delete(duty.name))
    this.#running.set(duty.name, running)
  }

  /** Never fails: how it ended is in the database, or in the log if that could not be told. */
  async #run(duty: Duty, term: LeaseTerm, startedMs: number): Promise<void> {
    const { sql, log } = this.#deps
    const over = new AbortController()
    const lost = new AbortController()
    const signal = AbortSignal.any([this.#stopping.signal, lost.signal])
    const guard = this.#guard(duty, { term, startedMs, over: over.signal, lost })
    const end = await this.#outcome(duty, term, signal)
    over.abort()
    await guard
    const why: unknown = lost.signal.reason
    const told: DutyEnd = lost.signal.aborted ? { kind: 'failed', error: String(why) } : end
    if (told.kind === 'failed') log.warn('duty failed', { duty: duty.name, error: told.error })
    try {
      if (!(await finishDuty(sql, term, told))) log.warn('duty ended after its lease', { duty: duty.name })
    } catch (error) {
      log.warn('the end of a duty was not written', { duty: duty.name, error })
    }
  }

  async #outcome(duty: Duty, term: LeaseTerm, signal: AbortSignal): Promise<DutyEnd> {
    // Stopped while it began: a run that waits for the signal's event would wait for ever.
    if (signal.aborted) return { kind: 'stopped' }
    try {
      await duty.run(term, signal)
      if (this.#stopping.signal.aborted) return { kind: 'stopped' }
      return { kind: 'done', nextInMs: duty.intervalMs }
    } catch (error) {
      if (this.#stopping.signal.aborted) return { kind: 'stopped' }
      return { kind: 'failed', error: error instanceof Error ? error.message : String(error) }
    }
  }

  /** Renews the lease until the run is over; aborts `lost`, with the reason, when it may not go on. */
  async #guard(
    duty: Duty,
    run: { term: LeaseTerm; startedMs: number; over: AbortSignal; lost: AbortController },
  ): Promise<void> {
    const { sql, clock, leaseTtlMs } = this.#deps
    const { term, startedMs, over, lost } = run
    const runMaxMs = duty.runMaxMs ?? RUN_MAX_MS
    let confirmedMs = startedMs
    while (!lost.signal.aborted) {
      await clock.sleep(leaseTtlMs / RENEWALS_PER_TTL, over)
      if (over.aborted) return
      const askedMs = clock.nowMs()
      if (askedMs - startedMs >= runMaxMs) return lost.abort(`it ran longer than ${runMaxMs} ms`)
      const renewed = await acquireLease(sql, { ...term, ttlMs: leaseTtlMs }).catch(() => 'no answer' as const)
      if (over.aborted) return
      if (renewed !== 'no answer') {
        if (renewed?.epoch !== term.epoch) return lost.abort('its lease was lost')
        confirmedMs = askedMs
      } else if (clock.nowMs() - confirmedMs >= leaseTtlMs) {
        return lost.abort('its lease could not be renewed: no answer from the database')
      }
    }
  }
}
