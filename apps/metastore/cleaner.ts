/**
 * The cleaning duty: removes what time has made useless, and builds partitions ahead of need.
 *
 * Its lease (duties.ts) only spares work: each statement is idempotent and skips rows that another cleaner has locked, so
 * that two at once share it. A pass works in batches until one comes back short, at most BATCHES_MAX per kind.
 */
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import type { Sql } from '#db/client.ts'
import { ensurePartition, segmentPartitions } from '#db/partitions.ts'
import { deleteClosedJobs, deleteExpiredProfileIds, deleteForgottenObjects, type CleanLimits } from '#db/sql/clean.ts'
import type { MetastoreSettings } from './settings.ts'

/** 5,000 rows are deleted in about 30 ms: a batch never makes a commit wait long. */
const BATCH_ROWS = 5_000
/** 500,000 rows a pass: what 16,000 profiles/s leave behind in 30 s. */
const BATCHES_MAX = 100

export interface CleanerDeps {
  readonly sql: Sql
  readonly clock: Clock
  readonly log: Log
  readonly settings: MetastoreSettings
}

export interface CleanReport {
  readonly profileIds: number
  readonly jobs: number
  readonly objects: number
}

export class Cleaner {
  readonly #deps: CleanerDeps
  /** Two names live at a time; the set is rebuilt from each pass. */
  #attached = new Set<string>()

  constructor(deps: CleanerDeps) {
    this.#deps = deps
  }

  async pass(): Promise<CleanReport> {
    const { sql, settings } = this.#deps
    await this.ensurePartitions()
    return {
      profileIds: await inBatches(settings.profileIdAgeMs, (limits) => deleteExpiredProfileIds(sql, limits)),
      jobs: await inBatches(settings.closedJobAgeMs, (limits) => deleteClosedJobs(sql, limits)),
      objects: await inBatches(settings.deletedObjectAgeMs, (limits) => deleteForgottenObjects(sql, limits)),
    }
  }

  async ensurePartitions(): Promise<void> {
    const { sql, clock, log } = this.#deps
    const attached = new Set<string>()
    for (const partition of segmentPartitions(clock.nowMs())) {
      if (this.#attached.has(partition.name) || (await ensurePartition(sql, partition))) attached.add(partition.name)
      else log.warn('partition not attached, rows go to the default partition', { partition: partition.name })
    }
    this.#attached = attached
  }
}

async function inBatches(ageMs: number, run: (limits: CleanLimits) => Promise<number>): Promise<number> {
  let total = 0
  for (let batch = 0; batch < BATCHES_MAX; batch++) {
    const count = await run({ ageMs, batchRows: BATCH_ROWS })
    total += count
    if (count < BATCH_ROWS) break
  }
  return total
}
