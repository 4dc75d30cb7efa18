/**
 * Segments that have something to be planned, oldest first: the input of planning. Those that have nothing for as long as
 * nobody changes a switch or a mark are passed over by the index (idle-segments.ts).
 */
import type { WaitingSegment } from '#core/compaction/plan.ts'
import type { CompactedTenants } from '#core/compaction/tenant-switch.ts'
import type { SqlSession } from '../client.ts'
import { ALL_TENANTS, isNotHeldWhole, plannableSizes } from './plannable-datasets.ts'

/**
 * When the oldest live one arrived that is not idle, held or not; undefined: there is none. Beside an old transaction this
 * walks over all that was compacted since.
 */
export async function selectOldestLive(sql: SqlSession): Promise<number | undefined> {
  const [row] = await sql<{ created_at_ms: number }[]>`
    select (extract(epoch from s.created_at) * 1000)::float8 as created_at_ms
    from segments s where s.is_live and not s.is_idle order by s.created_at, s.object_id limit 1`
  return row?.created_at_ms
}

/** A segment that is planned in part counts with the bytes of that part. `fromMs`: those that arrived before are not looked at. */
export async function selectWaitingSegments(
  sql: SqlSession,
  limit: number,
  tenants: CompactedTenants = ALL_TENANTS,
  fromMs?: number,
): Promise<{ waiting: WaitingSegment[]; nowMs: number }> {
  const rows = await sql<{ object_id: string; size_bytes: number; created_at_ms: number; now_ms: number }[]>`
    select s.object_id, w.size_bytes,
      (extract(epoch from s.created_at) * 1000)::float8 as created_at_ms,
      (extract(epoch from now()) * 1000)::float8 as now_ms
    from segments s cross join lateral (${plannableSizes(sql, tenants)}) as w
    where s.is_live and not s.is_idle and ${isNotHeldWhole(sql)} and w.n > 0
      ${fromMs === undefined ? sql`` : sql`and s.created_at >= to_timestamp(${fromMs}::float8 / 1000)`}
    order by s.created_at, s.object_id
    limit ${limit}`
  return {
    waiting: rows.map((row) => ({
      objectId: row.object_id,
      sizeBytes: row.size_bytes,
      createdAtMs: row.created_at_ms,
    })),
    nowMs: rows[0]?.now_ms ?? 0,
  }
}
