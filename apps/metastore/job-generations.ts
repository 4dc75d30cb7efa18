/**
 * Keeps claims cheap beside a transaction that holds an old snapshot: the queue turns to a new generation when claims walk
 * over too much that is dead (db/sql/queue-generations.ts, core/compaction/plan-turn.ts).
 *
 * 1. Every PROBE_MS the planner reads what a claim would read and counts the dead entries that it walks over. Without an
 *    old snapshot there are none: Postgres knows them to be dead for everybody. Of more tenants than are looked at the
 *    next probe goes on with the rest. What is there right after a turn is of jobs of older programs, whose generation is
 *    always looked at: no other turn would help, so it does not count.
 * 2. If a turn is due it begins, and the open jobs are moved, a part a pass. Claims go on meanwhile.
 */
import { isTurnDue } from '#core/compaction/plan-turn.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import { MS_PER_SECOND } from '#core/units.ts'
import type { Sql } from '#db/client.ts'
import { FLOWS_MAX, selectClaimCandidates } from '#db/sql/claim-candidates.ts'
import type { LeaseTerm } from '#db/sql/leases.ts'
import { beginTurn, countDeadEntries, finishTurn, moveJobs, selectGenerations } from '#db/sql/queue-generations.ts'
import { beginUncompiled } from '#db/uncompiled.ts'
import { lastLookedAt } from './job-claims.ts'

/** A probe costs what a claim costs: 10 ms of a queue of 100,000 jobs. */
const PROBE_MS = MS_PER_SECOND
/** 500 rows are moved in about 15 ms: who renews or commits one of them waits no longer. */
const BATCH_ROWS = 500
/** A pass has other things to do as well: 0.3 s. */
const BATCHES_PER_PASS_MAX = 20

export interface JobGenerationsDeps {
  readonly sql: Sql
  readonly clock: Clock
  readonly log: Log
}

export class JobGenerations {
  readonly #deps: JobGenerationsDeps
  #lastProbeMs = Number.NEGATIVE_INFINITY
  #isTurning = false
  readonly #cursors = new Map<number, string>()
  /** Dead entries that the last turn did not get rid of. */
  #leftDead = 0

  constructor(deps: JobGenerationsDeps) {
    this.#deps = deps
  }

  /** If it is time to. True: a turn is under way, and wants another pass soon. */
  async tick(term: LeaseTerm): Promise<boolean> {
    const sinceMs = this.#deps.clock.nowMs() - this.#lastProbeMs
    if (!this.#isTurning && sinceMs >= 0 && sinceMs < PROBE_MS) return false
    this.#lastProbeMs = this.#deps.clock.nowMs()
    return await this.pass(term)
  }

  async pass(term: LeaseTerm): Promise<boolean> {
    const { sql, log } = this.#deps
    const { oldest, newest, moved } = await selectGenerations(sql)
    // Of an earlier pass, here or at a replica that is gone.
    if (oldest < newest) return await this.#move(newest)
    this.#isTurning = false
    const deadEntries = await this.#probe()
    this.#leftDead = Math.min(this.#leftDead, deadEntries)
    if (!isTurnDue({ deadEntries: deadEntries - this.#leftDead, moved })) return false
    const begun = await beginTurn(sql, term)
    if (begun === undefined) return false
    log.info('an old transaction keeps dead jobs in the queue: it turns', { deadEntries, generation: begun })
    return await this.#move(begun)
  }

  async #move(newest: number): Promise<boolean> {
    const { sql } = this.#deps
    this.#isTurning = true
    for (let batch = 0; batch < BATCHES_PER_PASS_MAX; batch++)
      if ((await moveJobs(sql, newest, BATCH_ROWS)) === 0) {
        this.#isTurning = !(await finishTurn(sql, newest))
        if (!this.#isTurning) this.#leftDead = await this.#probe()
        break
      }
    return this.#isTurning
  }

  async #probe(): Promise<number> {
    return await beginUncompiled(this.#deps.sql, (tx) =>
      countDeadEntries(tx, async () => {
        const { flows } = await selectClaimCandidates(tx, { jobsPerFlow: 1, cursors: this.#cursors })
        for (const [level, ofLevel] of Map.groupBy(flows, (flow) => flow.level))
          if (ofLevel.length < FLOWS_MAX) this.#cursors.delete(level)
          else this.#cursors.set(level, lastLookedAt(ofLevel, this.#cursors.get(level) ?? ''))
      }),
    )
  }
}
