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

/** A partition as its name tells its range; the default partition has none. */
export interface KnownPartition {
  readonly parent: Partition['parent']
  readonly name: string
  readonly fromMs: number
  readonly toMs: number
}

/** Partitions by range, oldest first. */
export async function listPartitions(sql: Sql, parent: Partition['parent']): Promise<KnownPartition[]> {
  const rows = await sql<{ name: string }[]>`
    select c.relname::text as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = ${parent}::regclass order by 1`
  return rows.flatMap(({ name }) => {
    const match = /^(?:segments|datasets)_(\d{4})(\d{2})(\d{2})(\d{2})?$/.exec(name)
    if (match === null) return []
    const [, year, month, day, hour = '0'] = match
    const fromMs = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour))
    return [{ parent, name, fromMs, toMs: fromMs + (parent === 'segments' ? SEGMENT_RANGE_MS : MS_PER_DAY) }]
  })
}

export interface TimeSlice {
  readonly fromMs: number
  readonly toMs: number
}

/**
 * All time below `toMs` in slices that are each in one partition: those of the list, oldest first, and what lies before,
 * between and behind them, which is in the default partition. Pure.
 */
export function sliceByPartition(partitions: readonly TimeSlice[], toMs: number): TimeSlice[] {
  const slices: TimeSlice[] = []
  let fromMs = Number.MIN_SAFE_INTEGER
  for (const partition of partitions) {
    if (partition.fromMs >= toMs) break
    if (partition.fromMs > fromMs) slices.push({ fromMs, toMs: partition.fromMs })
    fromMs = Math.min(partition.toMs, toMs)
    slices.push({ fromMs: partition.fromMs, toMs: fromMs })
  }
  if (fromMs < toMs) slices.push({ fromMs, toMs })
  return slices
}

/** Reads and writes of the parent queue behind us while we wait for them: not for long. */
const DROP_LOCK_TIMEOUT_MS = 200

/**
 * Drops a partition of which nothing is needed any more: of segments no row is live, of datasets there is none. False if
 * that is not so, or if its locks were not to be had at once. Space returns to the system, which deleting rows never
 * does (H31).
 */
export async function dropPartition(sql: Sql, { parent, name }: KnownPartition): Promise<boolean> {
  try {
    return await sql.begin(async (tx) => {
      await tx.unsafe(`set local lock_timeout = ${DROP_LOCK_TIMEOUT_MS}`)
      // The order in which dropping takes them, so that nobody who reads the parent can stand between.
      await tx.unsafe(`lock table ${parent} in access exclusive mode`)
      const needed = parent === 'segments' ? 'where is_live' : ''
      const [row] = await tx.unsafe(`select 1 from ${name} ${needed} limit 1`)
      if (row !== undefined) return false
      await tx.unsafe(`drop table ${name}`)
      return true
    })
  } catch (error) {
    if ((error as { code?: string }).code === '55P03') return false
    throw error
  }
}

/** Retired rows that came to the default partition of segments before the time; batches of a plain delete. */
export async function deleteDefaultSegments(sql: Sql, beforeMs: number, batchRows: number): Promise<number> {
  const result = await sql`
    with old as materialized (
      select created_at, object_id from segments_default
      where not is_live and created_at < to_timestamp(${beforeMs}::float8 / 1000) limit ${batchRows}
      for update skip locked
    )
    delete from segments_default s using old where s.created_at = old.created_at and s.object_id = old.object_id`
  return result.count
}
