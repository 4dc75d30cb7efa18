/**
 * Segments give up their packed rows: every dataset becomes a row of `datasets` that points into the same object, live or
 * not as it was. From then on each can be retired, hidden and restored by itself, and the partition of the packed row can
 * be dropped. All datasets of an object are in one table at any time; who merges locks the packed row and finds it empty.
 *
 * Locks: the lease, then objects and segments in the order of their ids, as commits of compactions take them. What
 * somebody else has locked is left for the next batch.
 */
import type { SqlSession } from '../client.ts'
import { heldLease } from './lease-held.ts'
import type { LeaseTerm } from './leases.ts'
import { segmentValues, unpackedDatasets } from './source-rows.ts'

export interface UnpackBatch {
  readonly term: LeaseTerm
  readonly batchObjects: number
}

/** Segments that arrived before, unless an open job that is not parked will merge them anyway. Returns how many objects. */
export async function unpackDueSegments(sql: SqlSession, batch: UnpackBatch, beforeMs: number): Promise<number> {
  return await unpack(
    sql,
    batch,
    sql`s.created_at < to_timestamp(${beforeMs}::float8 / 1000) and not exists (
      select from job_sources js join jobs j on j.id = js.job_id
      where js.object_id = s.object_id and j.state in ('queued', 'running'))`,
  )
}

/** Segments with live data of dead incarnations of the tenant. A job that holds one will be stale. */
export async function unpackDeadSegments(
  sql: SqlSession,
  batch: UnpackBatch,
  dead: { readonly tenant: string; readonly below: number },
): Promise<number> {
  return await unpack(
    sql,
    batch,
    sql`s.tenant && ${[dead.tenant]}::text[] and exists (
      select from unnest(s.tenant) with ordinality as t(tenant, n)
      where t.tenant = ${dead.tenant} and coalesce(s.incarnation[t.n], 1) < ${dead.below}
        and get_bit(s.live, t.n::int - 1) = 1)`,
  )
}

/** Segments whose oldest data is below the time: some of it may be expired. */
export async function unpackOldSegments(sql: SqlSession, batch: UnpackBatch, beforeMs: number): Promise<number> {
  return await unpack(sql, batch, sql`s.min_time_ms < ${beforeMs}::bigint`)
}

async function unpack(sql: SqlSession, batch: UnpackBatch, condition: ReturnType<SqlSession>): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    with lease as materialized (${heldLease(sql, batch.term)}),
    s as materialized (
      select s.* from segments s join objects o on o.id = s.object_id
      where exists (select from lease) and s.is_live and ${condition}
      order by s.object_id limit ${batch.batchObjects}
      for update of o, s skip locked
    ), unpacked as (
      insert into datasets (object_id, level, object_size_bytes, dataset_index, tenant, service, window_start_ms,
        window_ms, min_time_ms, max_time_ms, dataset_offset, size_bytes, head_bytes, profile_count, sample_count,
        skip_positions, is_live, incarnation)
      select ${segmentValues(sql)}, get_bit(s.live, (d.n - 1)::int) = 1, coalesce(s.incarnation[d.n], 1)
      from s cross join lateral ${unpackedDatasets(sql)}
    ), emptied as (
      update segments e set live = e.live # e.live, is_live = false
      from s where e.created_at = s.created_at and e.object_id = s.object_id
    )
    select count(*)::int as count from s`
  return row!.count
}
