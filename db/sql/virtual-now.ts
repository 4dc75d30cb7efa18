/**
 * Where the queue stands in the virtual time of core/compaction/claim-order.ts, as the tag of jobs that come now: where
 * the newest of what runs began; if nothing runs, where the last of what ended did. With shards the flows of different
 * workers go at their own pace, and a job that comes now must not wait for the fastest: then it is the slowest flow's.
 */
import type { SqlSession } from '../client.ts'
import { liveGenerations } from './queue-generations.ts'

/** What ended last: enough that the highest tag of them is that of the queue. */
const ENDED_LOOKED_AT = 32

/** A scalar. */
export function virtualNow(sql: SqlSession, { isSharded }: { readonly isSharded: boolean }) {
  const pick = isSharded ? sql`min(f.tag)` : sql`max(f.tag)`
  return sql`coalesce(
    (select ${pick} from (
      select max(tag) as tag from jobs where state = 'running' and generation = any(${liveGenerations(sql)})
      group by level, tenant
    ) as f),
    (select max(e.tag) from (
      select tag from jobs where state in ('done', 'stale') order by finished_at desc limit ${ENDED_LOOKED_AT}
    ) as e),
    0)`
}
