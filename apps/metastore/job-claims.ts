/**
 * Jobs for a worker: candidates from the database, the choice of core/compaction/claim-order.ts, then the claim.
 *
 * 1. Claims of this replica come one after the other, so that each sees what the last one took, and the caps of the
 *    policy are exact. Another replica may claim in between: a cap can be passed by what it takes in these milliseconds,
 *    a job is given out once all the same, because the claim locks it.
 * 2. Twice as many as wanted are chosen: what another replica takes meanwhile is passed over. If all were taken, the
 *    choice is made anew, a few times.
 * 3. Where a level has more tenants than are looked at, the next claim goes on behind the tenant of it that was served last;
 *    if the worker may take none of them, because they wait after failures, or others' shards or caps are in the way,
 *    behind the last that was looked at. Each level has a cursor of its own: what one has next does not decide where another begins.
 */
import { aggregationOf } from '#core/compaction/aggregation.ts'
import { chooseJobs, type QueuedFlow, takeableFlows } from '#core/compaction/claim-order.ts'
import { compactedTenants } from '#core/compaction/tenant-switch.ts'
import type { CompactionJob } from '#core/rpc/metastore.ts'
import type { Sql } from '#db/client.ts'
import { FLOWS_MAX, selectClaimCandidates } from '#db/sql/claim-candidates.ts'
import { claimJobs } from '#db/sql/claim-jobs.ts'
import { uncompiled } from '#db/uncompiled.ts'
import type { MetastoreSettings } from './settings.ts'

/** Rounds of a claim whose whole choice was taken by others: as many replicas as may meet by accident. */
const ROUNDS_MAX = 4

export class JobClaims {
  readonly #deps: { readonly sql: Sql; readonly settings: MetastoreSettings }
  #last: Promise<unknown> = Promise.resolve()
  readonly #cursors = new Map<number, string>()

  constructor(deps: { readonly sql: Sql; readonly settings: MetastoreSettings }) {
    this.#deps = deps
  }

  claim(workerId: string, capacity: number): Promise<CompactionJob[]> {
    const claim = this.#last.then(() => this.#claim(workerId, capacity))
    this.#last = claim.catch(() => undefined)
    return claim
  }

  async #claim(workerId: string, capacity: number): Promise<CompactionJob[]> {
    const { sql, settings } = this.#deps
    const { jobPolicy: policy } = settings
    const limit = capacity * 2
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const candidates = await uncompiled(sql, (session) =>
        selectClaimCandidates(session, { jobsPerFlow: limit, cursors: this.#cursors }),
      )
      const state = { ...candidates, tenants: compactedTenants(policy, candidates.switched) }
      const isMoved = this.#moveOn(candidates.flows, takeableFlows(state, policy, workerId))
      const chosen = chooseJobs(state, policy, { workerId, limit })
      if (chosen.length === 0) {
        if (!isMoved) return []
        continue
      }
      const wanted = { workerId, capacity, leaseMs: policy.leaseMs }
      const jobs = await uncompiled(sql, (session) => claimJobs(session, chosen, wanted))
      if (jobs.length === 0) continue
      const taken = new Set(jobs.map(({ jobId }) => jobId))
      for (const { jobId, level, tenant } of chosen)
        if (tenant !== '' && taken.has(jobId)) this.#cursors.set(level, tenant)
      return jobs.map((job) => {
        const aggregation = aggregationOf(job.sources, policy.aggregationWindowsMs)
        return aggregation === undefined ? job : { ...job, aggregation }
      })
    }
    return []
  }

  /** Levels of which nothing may be taken go on behind what was looked at, if there may be more. */
  #moveOn(flows: readonly QueuedFlow[], takeable: readonly QueuedFlow[]): boolean {
    const open = new Set(takeable.map(({ level }) => level))
    let isMoved = false
    for (const [level, ofLevel] of Map.groupBy(flows, (flow) => flow.level)) {
      if (ofLevel.length < FLOWS_MAX || open.has(level)) continue
      this.#cursors.set(level, lastLookedAt(ofLevel, this.#cursors.get(level) ?? ''))
      isMoved = true
    }
    return isMoved
  }
}

/** Of a level with as many flows as are looked at: as the statement goes round. */
export function lastLookedAt(ofLevel: readonly QueuedFlow[], cursor: string): string {
  const wrapped = ofLevel.filter(({ tenant }) => tenant <= cursor)
  return (wrapped.length > 0 ? wrapped : ofLevel).at(-1)!.tenant
}
