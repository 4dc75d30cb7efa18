/**
 * The retention duty: expires what is older than its rule, and drops what nobody needs any more.
 *
 * 1. Bounds rise by the rules and Postgres' time; announcements whose time has come take effect. From here on a late
 *    commit of older data is dead on arrival.
 * 2. Segments that hold such data are unpacked, datasets below their bound retire in batches, label sets go with them.
 * 3. Partitions of segments that are due are unpacked and dropped; empty ones of datasets are dropped.
 * Every batch is one short statement under the term of the duty; a pass that is cut short goes on with the next.
 * It deletes no object: an object whose last dataset goes becomes a tombstone.
 */
import { planBounds } from '#core/retention/rules.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import { MS_PER_DAY, MS_PER_HOUR } from '#core/units.ts'
import type { Sql } from '#db/client.ts'
import {
  deleteDefaultSegments,
  dropPartition,
  type KnownPartition,
  listPartitions,
  sliceByPartition,
} from '#db/partitions.ts'
import type { LeaseTerm } from '#db/sql/leases.ts'
import {
  beforeSlice,
  type DatasetCursor,
  type Expired,
  type ExpiredBatch,
  expireDatasets,
  expireLabelSets,
  hasExpired,
  highestBound,
} from '#db/sql/retention-expire.ts'
import { selectRetentionRules, writeBounds } from '#db/sql/retention-rules.ts'
import { unpackDueSegments, unpackOldSegments } from '#db/sql/unpack-segments.ts'

/** A statement of 2,000 rows takes about 40 ms: no commit waits long for an object that it holds. */
const BATCH_ROWS = 2_000
/** 500 segments of 300 datasets are 150,000 rows at most, about 1 s. */
const BATCH_OBJECTS = 500
/** Looked at in one statement that expires little: about 30 ms. */
const PAGE_ROWS_MAX = 20_000
/** One pass: 2,000,000 datasets that expire, or 20,000,000 that do not. The next goes on. */
const BATCHES_MAX = 1_000
/** After the end of its range: time for first compaction to take what came last. */
const SEGMENTS_KEPT_MS = MS_PER_HOUR
/** An empty day of the last week may get late data again: its partition is not made twice for it. */
const EMPTY_DAY_KEPT_MS = 7 * MS_PER_DAY

export interface RetentionDeps {
  readonly sql: Sql
  readonly clock: Clock
  readonly log: Log
  readonly deletionGraceMs: number
}

export interface RetentionReport extends Expired {
  readonly labelSets: number
  readonly partitionsDropped: number
}

const NOTHING: Expired = { datasets: 0, bytes: 0, objects: 0 }

export class RetentionPass {
  readonly #deps: RetentionDeps

  constructor(deps: RetentionDeps) {
    this.#deps = deps
  }

  async pass(term: LeaseTerm, signal: AbortSignal): Promise<RetentionReport> {
    const { sql, log } = this.#deps
    const { rules, nowMs } = await selectRetentionRules(sql)
    const bounds = planBounds(rules, nowMs)
    if (bounds.length > 0 && !(await writeBounds(sql, term, bounds)))
      return { ...NOTHING, labelSets: 0, partitionsDropped: 0 }
    const expired = await this.#expire(term, bounds, signal)
    const labels = { term, bounds, batchRows: BATCH_ROWS }
    const labelSets = bounds.length === 0 ? 0 : await inBatches(signal, BATCH_ROWS, () => expireLabelSets(sql, labels))
    const partitionsDropped = await this.#dropPartitions(term, nowMs, signal)
    if (expired.datasets > 0) log.info('expired by retention', { ...expired, labelSets })
    return { ...expired, labelSets, partitionsDropped }
  }

  async #expire(term: LeaseTerm, bounds: ReturnType<typeof planBounds>, signal: AbortSignal): Promise<Expired> {
    const { sql, deletionGraceMs } = this.#deps
    const highestMs = highestBound(bounds)
    await inBatches(signal, BATCH_OBJECTS, () =>
      unpackOldSegments(sql, { term, batchObjects: BATCH_OBJECTS }, highestMs),
    )
    let total = NOTHING
    if (bounds.length === 0) return total
    let batches = BATCHES_MAX
    for (const slice of sliceByPartition(await listPartitions(sql, 'datasets'), highestMs)) {
      if (signal.aborted || !(await hasExpired(sql, bounds, slice))) continue
      let after: DatasetCursor | undefined = beforeSlice(slice)
      let pageRows = BATCH_ROWS
      for (; batches > 0 && after !== undefined && !signal.aborted; batches--) {
        const limits = { batchRows: BATCH_ROWS, pageRows, deletionGraceMs, after, toMs: slice.toMs }
        const { next, ...expired }: ExpiredBatch = await expireDatasets(sql, { term, bounds, ...limits })
        total = addExpired(total, expired)
        after = next
        // Where all expires a page of one batch is read once; where little does, few statements read much.
        pageRows = expired.datasets === BATCH_ROWS ? BATCH_ROWS : Math.min(PAGE_ROWS_MAX, 2 * pageRows)
      }
    }
    return total
  }

  async #dropPartitions(term: LeaseTerm, nowMs: number, signal: AbortSignal): Promise<number> {
    const { sql } = this.#deps
    const dueMs = nowMs - SEGMENTS_KEPT_MS
    const due = (await listPartitions(sql, 'segments')).filter(({ toMs }) => toMs <= dueMs)
    if (due.length > 0) {
      const lastMs = due.at(-1)!.toMs
      await inBatches(signal, BATCH_OBJECTS, () =>
        unpackDueSegments(sql, { term, batchObjects: BATCH_OBJECTS }, lastMs),
      )
    }
    await inBatches(signal, BATCH_ROWS, () => deleteDefaultSegments(sql, dueMs, BATCH_ROWS))
    const days = (await listPartitions(sql, 'datasets')).filter(({ toMs }) => toMs <= nowMs - EMPTY_DAY_KEPT_MS)
    return await this.#drop([...due, ...days], signal)
  }

  async #drop(partitions: readonly KnownPartition[], signal: AbortSignal): Promise<number> {
    const { sql, log } = this.#deps
    let dropped = 0
    for (const partition of partitions) {
      if (signal.aborted) break
      if (!(await dropPartition(sql, partition))) continue
      dropped++
      log.info('partition dropped', { partition: partition.name })
    }
    return dropped
  }
}

function addExpired(a: Expired, b: Expired): Expired {
  return { datasets: a.datasets + b.datasets, bytes: a.bytes + b.bytes, objects: a.objects + b.objects }
}

/** Until a batch comes back short. Returns the sum. */
export async function inBatches(signal: AbortSignal, full: number, run: () => Promise<number>): Promise<number> {
  let total = 0
  for (let batch = 0; batch < BATCHES_MAX && !signal.aborted; batch++) {
    const count = await run()
    total += count
    if (count < full) break
  }
  return total
}
