/** Live segments that no open job holds, oldest first: the input of planning. */
import type { WaitingSegment } from '#core/compaction/plan.ts'
import type { SqlSession } from '../client.ts'

export async function selectWaitingSegments(
  sql: SqlSession,
  limit: number,
): Promise<{ waiting: WaitingSegment[]; nowMs: number }> {
  const rows = await sql<{ object_id: string; size_bytes: number; created_at_ms: number; now_ms: number }[]>`
    select s.object_id, s.size_bytes, (extract(epoch from s.created_at) * 1000)::float8 as created_at_ms,
      (extract(epoch from now()) * 1000)::float8 as now_ms
    from segments s
    where s.is_live and not exists (select from job_sources js where js.object_id = s.object_id)
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
