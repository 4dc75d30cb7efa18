/**
 * The planning duty: takes away expired job leases and turns waiting segments into jobs; less often, also the datasets
 * that are to be merged upwards.
 *
 * It runs on a timer and on every worker's poll, so that a metastore that was scaled to zero leaves no tail behind.
 * Both ways go through one lease; a replica that does not hold it does nothing, because the holder's timer will.
 * A pass asks the database; between passes `tick` skips the work while nothing was committed here and nothing waited.
 *
 * Segments come first and are done when `tick` is. What goes upwards (planning-rounds.ts) takes longer the more there is: a
 * tick waits for a slice of it as long as small installations need, and leaves a longer one to itself.
 */
import { planSegmentJobs } from '#core/compaction/plan.ts'
import { type CompactedTenants, compactedTenants } from '#core/compaction/tenant-switch.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import { MS_PER_MINUTE, MS_PER_SECOND } from '#core/units.ts'
import type { Sql } from '#db/client.ts'
import { isUniqueViolation } from '#db/errors.ts'
import { closeDeadJobs, closeSwitchedOffJobs } from '#db/sql/close-dead-jobs.ts'
import { selectTenantSwitches, type TenantSwitch } from '#db/sql/compaction-tenants.ts'
import { failExpiredJobs } from '#db/sql/fail-jobs.ts'
import { markIdleSegments, wakePlannable } from '#db/sql/idle-segments.ts'
import { insertJobs } from '#db/sql/insert-jobs.ts'
import { selectOldestLive, selectWaitingSegments } from '#db/sql/waiting-segments.ts'
import { deleteGoneWorkers } from '#db/sql/workers.ts'
import { HeldLease } from './held-lease.ts'
import { JobGenerations } from './job-generations.ts'
import { logOutcomes } from './job-poll.ts'
import { PlanningRounds } from './planning-rounds.ts'
import type { MetastoreSettings } from './settings.ts'

/** 16 jobs of 32 segments of 300 datasets take 0.8 s: a sixth of what a statement may. */
const JOBS_PER_INSERT_MAX = 16
/** One pass: 63 full jobs. The next pass, half a second later, takes the rest. */
const WAITING_MAX = 2_000
/** How long what wakes among old segments may wait; beside an old transaction the walk takes a second after an hour. */
const LOOK_AT_ALL_MS = 30 * MS_PER_SECOND
/** A poll waits so long for a slice of windows: of a few thousand datasets it takes less, and the poll brings its jobs. */
const WINDOWS_WAIT_MAX_MS = 50
/** A commit's row has the time at which it began: statements end after 5 s. */
const COMMIT_MAX_MS = MS_PER_MINUTE

export interface PlannerDeps {
  readonly sql: Sql
  readonly clock: Clock
  readonly log: Log
  readonly settings: MetastoreSettings
  /** Jobs became claimable. */
  readonly onJobs: () => void
}

type Planning = 'segments' | 'windows' | 'tidying'

interface Planned {
  /** Of segments. */
  readonly made: number
  /** How many jobs the slice makes that was begun; undefined: none was. */
  readonly slice: Promise<number> | undefined
}

export class Planner {
  readonly #deps: PlannerDeps
  readonly #lease: HeldLease
  readonly #generations: JobGenerations
  readonly #rounds: PlanningRounds
  #running: Promise<Planned> | undefined
  #lastPassMs = Number.NEGATIVE_INFINITY
  #isActive = true
  readonly #failing = new Set<Planning>()
  #hasWoken = false
  #lookedAtAllMs = Number.NEGATIVE_INFINITY
  #liveFromMs: number | undefined

  constructor(deps: PlannerDeps) {
    this.#deps = deps
    const { sql, clock, log, settings } = deps
    this.#generations = new JobGenerations({ sql, clock, log })
    this.#rounds = new PlanningRounds({ sql, clock, log, settings, insert: (run) => this.#insert(run) })
    this.#lease = new HeldLease({
      sql,
      clock,
      name: 'planning',
      holder: settings.instanceId,
      ttlMs: settings.leaseTtlMs,
    })
  }

  /** A segment was committed here: the next tick looks at once. */
  noteCommit(): void {
    this.#isActive = true
  }

  /** A pass if one is due by the clock; a failure is logged, because the next tick tries again. */
  async tick(): Promise<void> {
    const { clock, settings } = this.#deps
    const sinceMs = clock.nowMs() - this.#lastPassMs
    // Negative: the clock was set back, by how much nobody knows.
    if (sinceMs >= 0 && sinceMs < (this.#isActive ? settings.planIntervalMs : settings.planIdleIntervalMs)) return
    try {
      const { slice } = await this.#share()
      this.#note('segments', undefined)
      if (slice === undefined) return
      const ended = new AbortController()
      const outcome = slice.then(
        () => this.#note('windows', undefined),
        (error: unknown) => this.#note('windows', error),
      )
      void outcome.finally(() => ended.abort())
      await Promise.race([outcome, clock.sleep(WINDOWS_WAIT_MAX_MS, ended.signal)])
    } catch (error) {
      this.#note('segments', error)
    }
  }

  /** A failure is told once an outage, not twice a second. */
  #note(what: Planning, error: unknown): void {
    if (error === undefined) this.#failing.delete(what)
    else if (!this.#failing.has(what)) {
      this.#failing.add(what)
      this.#deps.log.warn('planning failed', { what, error })
    }
  }

  /** Plans now, a slice of what goes upwards included. Callers at the same time share one pass. Returns how many jobs were made. */
  async pass(): Promise<number> {
    this.#rounds.endRest()
    const { made, slice } = await this.#share()
    return made + ((await slice) ?? 0)
  }

  async release(): Promise<void> {
    await this.#running?.then(({ slice }) => slice).catch(() => undefined)
    await this.#rounds.settle()
    await this.#lease.release()
  }

  #share(): Promise<Planned> {
    this.#running ??= this.#pass().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #pass(): Promise<Planned> {
    const { sql, clock, log, settings, onJobs } = this.#deps
    this.#lastPassMs = clock.nowMs()
    this.#isActive = false
    const expired = await failExpiredJobs(sql, settings.jobPolicy)
    logOutcomes(log, expired)
    if (expired.length > 0) onJobs()
    const term = await this.#lease.hold()
    if (term === undefined) return { made: 0, slice: undefined }
    if (await this.#generations.tick(term)) this.#isActive = true
    const tenants = compactedTenants(settings.jobPolicy, await selectTenantSwitches(sql))
    const { waiting, nowMs } = await selectWaitingSegments(sql, WAITING_MAX, tenants, await this.#lookFrom())
    if (waiting.length > 0) this.#isActive = true
    const jobs = planSegmentJobs(waiting, settings.segmentPolicy, nowMs)
    const { ageingBytesPerSecond, tenantShardSize } = settings.jobPolicy
    const options = { term, tenants, ageingBytesPerSecond, isSharded: tenantShardSize > 0 }
    let made = 0
    for (let at = 0; at < jobs.length; at += JOBS_PER_INSERT_MAX) {
      const some = jobs.slice(at, at + JOBS_PER_INSERT_MAX)
      made += await this.#insert(() => insertJobs(sql, some, options))
    }
    if (this.#rounds.isUnderWay) this.#isActive = true
    if (!this.#rounds.isDue()) return { made, slice: undefined }
    // Without it passes look at more than they need: no reason to merge nothing upwards.
    if (!this.#rounds.isUnderWay)
      await this.#tidy(tenants).then(
        () => this.#note('tidying', undefined),
        (error: unknown) => this.#note('tidying', error),
      )
    const slice = this.#rounds.next(term, tenants).then((windowJobs) => {
      if (this.#rounds.isUnderWay) this.#isActive = true
      return windowJobs
    })
    // Who waits for it hears of it; a tick may be gone by then, and has logged it.
    slice.catch(() => undefined)
    return { made, slice }
  }

  /**
   * Where the live segments begin, less what a commit may take: beside an old transaction those that were compacted stay in
   * the index, and each pass would walk over all of them. A hint: now and then a pass looks at all, for what came to life
   * again below it. undefined: from the first.
   */
  async #lookFrom(): Promise<number | undefined> {
    const { sql, clock } = this.#deps
    const sinceMs = clock.nowMs() - this.#lookedAtAllMs
    if (sinceMs >= 0 && sinceMs < LOOK_AT_ALL_MS) return this.#liveFromMs
    this.#lookedAtAllMs = clock.nowMs()
    const oldestMs = await selectOldestLive(sql)
    this.#liveFromMs = oldestMs === undefined ? undefined : oldestMs - COMMIT_MAX_MS
    return undefined
  }

  /** What would otherwise be looked at for ever: segments that nobody may compact, jobs whose data is gone. */
  async #tidy(tenants: CompactedTenants): Promise<void> {
    const { sql, log, settings } = this.#deps
    const off = await closeSwitchedOffJobs(sql, tenants)
    if (off.length > 0) log.info('jobs closed, their tenant is off', { jobs: off.length, first: off[0] })
    const decide = (switched: readonly TenantSwitch[]) => compactedTenants(settings.jobPolicy, switched)
    // Once: a process before this one may have had another policy.
    if (!this.#hasWoken && (await wakePlannable(sql, decide)) > 0) {
      this.#isActive = true
      this.#lookedAtAllMs = Number.NEGATIVE_INFINITY
    }
    this.#hasWoken = true
    await markIdleSegments(sql, WAITING_MAX, decide)
    await deleteGoneWorkers(sql)
    const closed = await closeDeadJobs(sql)
    if (closed.length > 0) log.info('jobs closed, their data is gone', { jobs: closed.length, first: closed[0] })
  }

  async #insert(insert: () => Promise<number>): Promise<number> {
    try {
      const made = await insert()
      if (made > 0) this.#deps.onJobs()
      return made
    } catch (error) {
      // Another planner had one of these sources in a job first: the next pass sees its jobs.
      if (isUniqueViolation(error)) return 0
      throw error
    }
  }
}
