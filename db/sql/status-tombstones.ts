/** The queue of deletions in a few figures, and why the store refused the last one it refused. */
import type { TombstoneStatus } from '#core/rpc/status.ts'
import type { SqlSession } from '../client.ts'

export async function selectTombstoneStatus(sql: SqlSession, overdueMs: number): Promise<TombstoneStatus> {
  const [row] = await sql<
    {
      queued: number
      due: number
      overdue: number
      deleting: number
      refused: number
      refusal: string | null
      oldest_ms: number | null
    }[]
  >`
    select count(*)::int as queued,
      count(*) filter (where due_at <= now())::int as due,
      count(*) filter (where due_at <= now() - ${overdueMs}::float8 * interval '1 millisecond')::int as overdue,
      count(*) filter (where expires_at > now())::int as deleting,
      count(*) filter (where failures > 0)::int as refused,
      max(reason) filter (where failures > 0) as refusal,
      floor(extract(epoch from min(due_at)) * 1000)::float8 as oldest_ms
    from tombstones`
  return {
    queued: row?.queued ?? 0,
    due: row?.due ?? 0,
    overdue: row?.overdue ?? 0,
    oldestDueMs: row?.oldest_ms ?? 0,
    deleting: row?.deleting ?? 0,
    refused: row?.refused ?? 0,
    refusal: row?.refusal ?? '',
  }
}
