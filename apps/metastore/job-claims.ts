/**
 * Jobs for a worker: candidates from the database, the choice of core/compaction/claim-order.ts, then the claim.
 *
 * 1. Claims of this replica come one after the other, so that each sees what the last one took, and the caps of the
 *    policy are exact. Another replica may claim in between: a cap can be passed by what it takes in these milliseconds,
 *    a job is given out once all the same, because the claim locks it.
 * 2. Twice as many as wanted are chosen: what another replica takes meanwhile is passed over. If all were taken, the
 *    choice is made anew, a few times.
 * 3. Where a level has more tenants than are looked at, the next claim goes on behind the tenant that was served last; if
 *    the worker may take none of them, because others' shards or caps are in the way, behind the last that was looked at.
 */
import { chooseJobs, type QueuedFlow } from '#core/compaction/claim-order.ts'
import { compactedTenants } from '#core/compaction/tenant-switch.ts'
import type { CompactionJob } from '#core/rpc/metastore.ts'
import type { Sql } from '#db/client.ts'
import { FLOWS_MAX, selectClaimCandidates } from '#db/sql/claim-candidates.ts'
import { claimJobs } from '#db/sql/claim-jobs.ts'
import type { MetastoreSettings } from './settings.ts'

/** Rounds of a claim whose whole choice was taken by others: as many replicas as may meet by accident. */
const ROUNDS_MAX = 4

export class JobClaims {
  readonly #deps: { readonly sql: Sql; readonly settings: MetastoreSettings }
  #last: Promise<unknown> = Promise.resolve()
  #cursor = ''

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
      const candidates = await selectClaimCandidates(sql, { jobsPerFlow: limit, cursor: this.#cursor })
      const tenants = compactedTenants(policy, candidates.switched)
      const chosen = chooseJobs({ ...candidates, tenants }, policy, { workerId, limit })
      if (chosen.length === 0) {
        const next = nextWindow(candidates.flows, this.#cursor)
        if (next === undefined) return []
        this.#cursor = next
        continue
      }
      const jobs = await claimJobs(sql, chosen, { workerId, capacity, leaseMs: policy.leaseMs })
      if (jobs.length === 0) continue
      const taken = new Set(jobs.map(({ jobId }) => jobId))
      const served = chosen.filter(({ jobId, tenant }) => taken.has(jobId) && tenant !== '').at(-1)
      this.#cursor = served?.tenant ?? this.#cursor
      return jobs
    }
    return []
  }
}

/** The last tenant looked at of a level that may have more of them, as the statement goes round; undefined: there are no more. */
function nextWindow(flows: readonly QueuedFlow[], cursor: string): string | undefined {
  for (const ofLevel of Map.groupBy(flows, ({ level }) => level).values()) {
    if (ofLevel.length < FLOWS_MAX) continue
    const wrapped = ofLevel.filter(({ tenant }) => tenant <= cursor)
    return (wrapped.length > 0 ? wrapped : ofLevel).at(-1)!.tenant
  }
  return undefined
}
