/**
 * The planning duty: takes away expired job leases and turns waiting segments into jobs; less often, also the datasets
 * that are to be merged upwards.
 *
 * It runs on a timer and on every worker's poll, so that a metastore that was scaled to zero leaves no tail behind.
 * Both ways go through one lease; a replica that does not hold it does nothing, because the holder's timer will.
 * A pass asks the database; between passes `tick` skips the work while nothing was committed here and nothing waited.
 */
import { planSegmentJobs } from '#core/compaction/plan.ts'
import { planWindowJobs } from '#core/compaction/plan-windows.ts'
import { orderDelaySeconds } from '#core/compaction/job-order.ts'
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
import { insertWindowJobs } from '#db/sql/insert-window-jobs.ts'
import type { LeaseTerm } from '#db/sql/leases.ts'
import type { CellCursor } from '#db/sql/waiting-cells.ts'
import { selectOldestLive, selectWaitingSegments } from '#db/sql/waiting-segments.ts'
import { deleteGoneWorkers } from '#db/sql/workers.ts'
import { HeldLease } from './held-lease.ts'
import { JobGenerations } from './job-generations.ts'
import { logOutcomes } from './job-poll.ts'
import { loadPlanningSlice, SLICE_LIMITS } from './planning-slice.ts'
import type { MetastoreSettings } from './settings.ts'

/** 16 jobs of 32 segments of 300 datasets take 0.8 s: a sixth of what a statement may. */
const JOBS_PER_INSERT_MAX = 16
/** One pass: 63 full jobs. The next pass, half a second later, takes the rest. */
const WAITING_MAX = 2_000
/** How long what wakes among old segments may wait; beside an old transaction the walk takes a second after an hour. */
const LOOK_AT_ALL_MS = 30 * MS_PER_SECOND
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

export class Planner {
  readonly #deps: PlannerDeps
  readonly #lease: HeldLease
  readonly #generations: JobGenerations
  #running: Promise<number> | undefined
  #lastPassMs = Number.NEGATIVE_INFINITY
  #isActive = true
  #isFailing = false
  #lastWindowPassMs: number
  #hasWoken = false
  #lookedAtAllMs = Number.NEGATIVE_INFINITY
  #liveFromMs: number | undefined
  /** Where the next slice of windows begins; undefined = a new round. */
  #nextCell: CellCursor | undefined

  constructor(deps: PlannerDeps) {
    this.#deps = deps
    const { sql, clock, log, settings } = deps
    this.#generations = new JobGenerations({ sql, clock, log })
    this.#lastWindowPassMs = clock.nowMs()
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
    const { clock, log, settings } = this.#deps
    const sinceMs = clock.nowMs() - this.#lastPassMs
    // Negative: the clock was set back, by how much nobody knows.
    if (sinceMs >= 0 && sinceMs < (this.#isActive ? settings.planIntervalMs : settings.planIdleIntervalMs)) return
    try {
      await this.pass()
      this.#isFailing = false
    } catch (error) {
      // Once an outage, not twice a second.
      if (!this.#isFailing) log.warn('planning failed', { error })
      this.#isFailing = true
    }
  }

  /** Plans now. Callers at the same time share one pass. Returns how many jobs were made. */
  pass(): Promise<number> {
    this.#running ??= this.#pass().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async release(): Promise<void> {
    await this.#running?.catch(() => undefined)
    await this.#lease.release()
  }

  async #pass(): Promise<number> {
    const { sql, clock, log, settings, onJobs } = this.#deps
    this.#lastPassMs = clock.nowMs()
    this.#isActive = false
    const expired = await failExpiredJobs(sql, settings.jobPolicy)
    logOutcomes(log, expired)
    if (expired.length > 0) onJobs()
    const term = await this.#lease.hold()
    if (term === undefined) return 0
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
    const sinceMs = clock.nowMs() - this.#lastWindowPassMs
    if (sinceMs >= 0 && sinceMs < settings.planWindowsIntervalMs) return made
    await this.#tidy(tenants)
    return made + (await this.#passWindows(term, tenants))
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

  /** One slice. Slices follow each other without a pause until the round is over. */
  async #passWindows(term: LeaseTerm, tenants: CompactedTenants): Promise<number> {
    const { sql, clock, settings } = this.#deps
    const { windowPolicy: policy } = settings
    const slice = await loadPlanningSlice(sql, { after: this.#nextCell, policy, tenants, limits: SLICE_LIMITS })
    const jobs = planWindowJobs(slice.waiting, policy, slice.nowMs)
    // Of a slice with more jobs than a pass makes, the rest is planned when those hold their datasets.
    if (jobs.length < policy.jobsPerPassMax) this.#nextCell = slice.next
    const isRoundOver = this.#nextCell === undefined && jobs.length < policy.jobsPerPassMax
    this.#lastWindowPassMs = isRoundOver ? clock.nowMs() : Number.NEGATIVE_INFINITY
    if (!isRoundOver) this.#isActive = true
    if (jobs.length === 0) return 0
    const delaysSeconds = jobs.map((job) => orderDelaySeconds(job, settings.jobPolicy, slice.nowMs))
    const options = { term, delaysSeconds, isSharded: settings.jobPolicy.tenantShardSize > 0 }
    return await this.#insert(() => insertWindowJobs(sql, jobs, options))
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
