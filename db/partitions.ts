/**
 * Partitions ahead of need: segments by arrival in ranges of six hours, datasets by data day.
 *
 * A missing partition is never an error: rows go to the default partition, which every read covers. A partition is
 * built beside the table and attached: attaching lets reads and writes of the parent go on, and waits at most
 * LOCK_TIMEOUT_MS for the default partition. It fails where that already holds rows of the range; the range stays there.
 */
import { MS_PER_DAY, MS_PER_HOUR, floorTo } from '#core/units.ts'
import type { Sql } from './client.ts'
import { meaningOfSqlError } from './errors.ts'

export interface Partition {
  readonly parent: 'segments' | 'datasets'
  readonly name: string
  /** Half open, as SQL literals. */
  readonly from: string
  readonly to: string
}

/** Six hours of four flushes a second are 86,000 rows: small enough to drop often, few enough to plan over. */
const SEGMENT_RANGE_MS = 6 * MS_PER_HOUR
/** Data older than this is rare backfill and may stay in the default partition: it bounds the number of partitions. */
const DATASET_AGE_MAX_MS = 400 * MS_PER_DAY
const DATASET_LEAD_MAX_MS = 2 * MS_PER_DAY
const LOCK_TIMEOUT_MS = 500

/** The range of now and the next one. */
export function segmentPartitions(nowMs: number): Partition[] {
  const start = floorTo(nowMs, SEGMENT_RANGE_MS)
  return [start, start + SEGMENT_RANGE_MS].map((from) => {
    const to = from + SEGMENT_RANGE_MS
    return {
      parent: 'segments',
      name: `segments_${new Date(from).toISOString().slice(0, 13).replaceAll(/[-T]/g, '')}`,
      from: `'${new Date(from).toISOString()}'`,
      to: `'${new Date(to).toISOString()}'`,
    }
  })
}

/** One partition per distinct data day within bounds. */
export function datasetPartitions(windowStartsMs: readonly number[], nowMs: number): Partition[] {
  const days = new Set(windowStartsMs.map((startMs) => floorTo(startMs, MS_PER_DAY)))
  return [...days]
    .filter((day) => day >= nowMs - DATASET_AGE_MAX_MS && day <= nowMs + DATASET_LEAD_MAX_MS)
    .sort((a, b) => a - b)
    .map((day) => ({
      parent: 'datasets',
      name: `datasets_${new Date(day).toISOString().slice(0, 10).replaceAll('-', '')}`,
      from: `'${day}'`,
      to: `'${day + MS_PER_DAY}'`,
    }))
}

/** Creates a partition. False if it could not be attached now; rows of its range then live in the default partition. */
export async function ensurePartition(sql: Sql, partition: Partition): Promise<boolean> {
  const { parent, name, from, to } = partition
  try {
    await sql.begin(async (tx) => {
      await tx.unsafe(`set local lock_timeout = ${LOCK_TIMEOUT_MS}`)
      // Two creators meet here, not in the catalogue, where the second would fail with a duplicate.
      await tx`select pg_advisory_xact_lock(hashtextextended(${name}, 0))`
      const [existing] = await tx`select 1 from pg_class where relname = ${name} and relkind = 'r'`
      if (existing !== undefined) return
      await tx.unsafe(`create table ${name} (like ${parent} including defaults including constraints)`)
      await tx.unsafe(`alter table ${parent} attach partition ${name} for values from (${from}) to (${to})`)
    })
    return true
  } catch (error) {
    // 23514: the default partition holds rows of this range. 55P03: it is locked longer than we wait.
    const code = (error as { code?: string }).code
    if (code === '23514' || code === '55P03' || meaningOfSqlError(error).kind === 'deadline_exceeded') return false
    throw error
  }
}
