/**
 * Which live datasets a query has to read: one statement, so one snapshot. A compaction commit moves data from sources
 * to outputs at once, and a plan sees either all sources or all outputs, never both and never neither.
 *
 * What a deletion of its tenant hides is out of sight from the deletion's own commit on, wherever its rows are by then.
 * Times are inclusive on both sides. The bound on window_start_ms lets Postgres leave out whole day partitions. Of a plan
 * for any values it thinks that this bound leaves a two-hundredth, and walks through whole days of all tenants by the key:
 * a whole tenant's statement is planned with its values (450 ms of CPU before, 120 after, of a million datasets a day).
 */
import type { PlanQueryRequest, SourceObject } from '#core/rpc/metastore.ts'
import { MS_PER_DAY } from '#core/units.ts'
import { plannedAnew, type SqlSession } from '../client.ts'
import { datasetColumns, groupBySource, segmentColumns, unpackedDatasets, type DatasetRow } from './source-rows.ts'

/** The widest window of any level. */
const WINDOW_MAX_MS = MS_PER_DAY

export async function planQuery(sql: SqlSession, request: PlanQueryRequest): Promise<SourceObject[]> {
  return groupBySource(await selectPlan(sql, request))
}

/** Rows of one part: about 100 kB of message, and what the process holds at a time. */
const PART_ROWS = 500

/**
 * The same statement read through a cursor: a plan of any size in the memory of one part. It holds a connection until the
 * last part or the end of the loop. Parts are grouped each for itself, so that an object may come in several.
 */
export async function* streamPlan(sql: SqlSession, request: PlanQueryRequest): AsyncGenerator<SourceObject[]> {
  for await (const rows of selectPlan(sql, request).cursor(PART_ROWS)) {
    yield groupBySource(rows)
    // There is no other. Its end has been sent to the server; what is next on this connection waits for that, not the plan.
    if (rows.length < PART_ROWS) return
  }
}

/** The statement itself, so that a test can look at its plan. */
export function selectPlan(sql: SqlSession, request: PlanQueryRequest, prefix = '') {
  const { tenants, services, startMs, endMs } = request
  // Two statements, not `$1 = 0 or service = any($2)`: no index serves the column behind an or.
  const ofServices = services.length === 0 ? sql`` : sql`and d.service = any(${services}::text[])`
  const plan = sql<DatasetRow[]>`${sql.unsafe(prefix)}
    select ${segmentColumns(sql)}
    from segments s cross join lateral ${unpackedDatasets(sql)}
    where s.is_live and s.max_time_ms >= ${startMs} and s.min_time_ms <= ${endMs}
      and s.tenant && ${tenants}::text[]
      and d.tenant = any(${tenants}::text[])
      ${ofServices}
      and d.max_time_ms >= ${startMs} and d.min_time_ms <= ${endMs}
      and get_bit(s.live, (d.n - 1)::int) = 1
      and not exists (
        select from tenant_incarnations i where i.tenant = d.tenant and coalesce(s.incarnation[d.n], 1) < i.live_from
      )
    union all
    select ${datasetColumns(sql)}
    from datasets d
    where d.is_live and d.tenant = any(${tenants}::text[])
      ${ofServices}
      and d.max_time_ms >= ${startMs} and d.min_time_ms <= ${endMs}
      and d.window_start_ms >= ${startMs}::bigint - ${WINDOW_MAX_MS}::bigint and d.window_start_ms <= ${endMs}
      and not exists (
        select from tenant_incarnations i where i.tenant = d.tenant and d.incarnation < i.live_from
      )`
  return services.length === 0 ? plannedAnew(plan) : plan
}
