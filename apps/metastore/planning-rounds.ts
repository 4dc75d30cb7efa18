/**
 * Rounds over what is to be merged upwards, slice by slice (planning-slice.ts), so that a large installation neither keeps
 * polls waiting nor takes a core.
 *
 * 1. A round begins when the last one has rested for the interval of the settings.
 * 2. One slice runs at a time. It costs some database and then some of this thread, both bounded by the slice's limits.
 * 3. After a slice there is a rest of REST_SHARE times what it took, on top of the interval of ticks: rounds take a quarter of
 *    one connection and of one core at most, whatever the size of the installation.
 * 4. A slice that fails is tried again. At the third failure of one place what is there is left for the next round, and with each
 *    further one what follows it: days of one tenant that take longer than a statement may must not keep all others from being
 *    merged.
 * Must not: decide what is merged (core/compaction/plan-windows.ts), or write without the term of the lease.
 */
import { orderDelaySeconds } from '#core/compaction/job-order.ts'
import { planWindowJobs } from '#core/compaction/plan-windows.ts'
import type { CompactedTenants } from '#core/compaction/tenant-switch.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import type { Sql } from '#db/client.ts'
import { insertWindowJobs } from '#db/sql/insert-window-jobs.ts'
import type { LeaseTerm } from '#db/sql/leases.ts'
import type { CellCursor } from '#db/sql/waiting-cells.ts'
import {
  loadPlanningSlice,
  type PlanningSlice,
  SLICE_LIMITS,
  type SliceLimits,
  type SliceRequest,
} from './planning-slice.ts'
import type { MetastoreSettings } from './settings.ts'

const REST_SHARE = 3
/** A minute, where a statement ends at its limit. What a database that was away makes us leave out is there in the next round. */
const FAILURES_MAX = 3

export interface PlanningRoundsDeps {
  readonly sql: Sql
  readonly clock: Clock
  readonly log: Log
  readonly settings: MetastoreSettings
  /** Runs an insert of jobs, and wakes who waits for them. */
  readonly insert: (run: () => Promise<number>) => Promise<number>
  readonly limits?: SliceLimits
}

export class PlanningRounds {
  readonly #deps: PlanningRoundsDeps
  #slice: Promise<number> | undefined
  /** Where the next slice begins; undefined = a new round. */
  #nextCell: CellCursor | undefined
  #isRoundOver = true
  /** Of slices that begin at `#nextCell`, one after the other. */
  #failures = 0
  #endedMs: number
  #restMs: number

  constructor(deps: PlanningRoundsDeps) {
    this.#deps = deps
    this.#endedMs = deps.clock.nowMs()
    this.#restMs = deps.settings.planWindowsIntervalMs
  }

  /** There is more of this round. */
  get isUnderWay(): boolean {
    return this.#slice !== undefined || !this.#isRoundOver
  }

  isDue(): boolean {
    if (this.#slice !== undefined) return false
    const sinceMs = this.#deps.clock.nowMs() - this.#endedMs
    // Negative: the clock was set back, by how much nobody knows.
    return sinceMs < 0 || sinceMs >= this.#restMs
  }

  /** What a slice has cost is forgotten: the next one is due now, or a round when its interval is over. */
  endRest(): void {
    this.#restMs = this.#isRoundOver ? this.#deps.settings.planWindowsIntervalMs : 0
  }

  /** Returns how many jobs were made. */
  next(term: LeaseTerm, tenants: CompactedTenants): Promise<number> {
    this.#slice ??= this.#next(term, tenants).finally(() => {
      this.#slice = undefined
    })
    return this.#slice
  }

  async settle(): Promise<void> {
    await this.#slice?.catch(() => undefined)
  }

  async #next(term: LeaseTerm, tenants: CompactedTenants): Promise<number> {
    const { sql, clock, settings, insert, limits = SLICE_LIMITS } = this.#deps
    const { windowPolicy: policy } = settings
    const beganMs = clock.nowMs()
    // Should it fail: the round goes on from here, soon.
    this.#isRoundOver = false
    try {
      const slice = await this.#load({ after: this.#nextCell, policy, tenants, limits })
      const jobs = planWindowJobs(slice.waiting, policy, slice.nowMs)
      // Of a slice with more jobs than a pass makes, the rest is planned when those hold their datasets.
      if (jobs.length < policy.jobsPerPassMax) this.#nextCell = slice.next
      this.#isRoundOver = this.#nextCell === undefined && jobs.length < policy.jobsPerPassMax
      if (jobs.length === 0) return 0
      const delaysSeconds = jobs.map((job) => orderDelaySeconds(job, settings.jobPolicy, slice.nowMs))
      const options = { term, delaysSeconds, isSharded: settings.jobPolicy.tenantShardSize > 0 }
      return await insert(() => insertWindowJobs(sql, jobs, options))
    } finally {
      this.#endedMs = clock.nowMs()
      const tookMs = Math.max(0, this.#endedMs - beganMs)
      this.#restMs = this.#isRoundOver
        ? Math.max(settings.planWindowsIntervalMs, REST_SHARE * tookMs)
        : REST_SHARE * tookMs
    }
  }

  async #load(request: SliceRequest): Promise<PlanningSlice> {
    const { sql, log } = this.#deps
    const leftOut = Math.max(0, this.#failures - FAILURES_MAX + 1)
    if (leftOut > 0) {
      const { tenant, windowStartMs } = request.after ?? {}
      log.error('windows are left for the next round of planning, because slices from here on fail', {
        tenant,
        windowStartMs,
        ranges: leftOut,
      })
    }
    this.#failures++
    const slice = await loadPlanningSlice(sql, { ...request, leftOut })
    this.#failures = 0
    return slice
  }
}
