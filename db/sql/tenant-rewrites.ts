/**
 * Shared objects that a removal waits for: others live in them and nothing merges them, because their compaction is off,
 * marked, or has nothing to join them with. One row an object with all that is live in it; objects of open jobs are left
 * to those.
 */
import type { WindowJob } from '#core/compaction/plan-windows.ts'
import type { SqlSession } from '../client.ts'

interface Row {
  object_id: string
  level: number
  indexes: number[]
  size_bytes: number
  window_start_ms: number
  window_ms: number
}

/** Jobs that write the rest of such an object anew, once the removal has waited long enough; at most `limit`. */
export async function planRewrites(
  sql: SqlSession,
  request: { readonly deletionId: number; readonly afterMs: number; readonly limit: number },
): Promise<WindowJob[]> {
  const { deletionId, afterMs, limit } = request
  const rows = await sql<Row[]>`
    select k.object_id, max(d.level)::int as level, array_agg(d.dataset_index order by d.dataset_index) as indexes,
      sum(d.size_bytes)::float8 as size_bytes, min(d.window_start_ms) as window_start_ms, max(d.window_ms) as window_ms
    from tenant_deletions t join tenant_deletion_objects k on k.deletion_id = t.id
    join datasets d on d.object_id = k.object_id and d.is_live
    where t.id = ${deletionId} and t.state = 'removing' and k.gone_at is null
      and t.removing_at <= now() - ${afterMs}::float8 * interval '1 millisecond'
      and not exists (select from job_sources js where js.object_id = k.object_id)
    group by k.object_id order by k.object_id limit ${limit}`
  return rows.map((row) => ({
    // A segment has no level of its own to be written at.
    level: Math.max(1, row.level),
    scope: `without deletion ${deletionId}`,
    sources: [{ objectId: row.object_id, indexes: row.indexes }],
    sizeBytes: row.size_bytes,
    windowStartMs: row.window_start_ms,
    windowMs: row.window_ms,
  }))
}
