/** The index as a check sees it, page by page, and the mends, each of which looks again before it writes. */
import type { ComparedDataset, ObjectStanding } from '#core/recovery/compare.ts'
import type { Sql, SqlSession } from '../client.ts'

/** Of `objects o`: datasets that are live, or hidden and may come back, whatever the object's own count says. */
function liveRows(sql: SqlSession) {
  return sql`(
      (select coalesce(sum(bit_count(s.live)), 0) from segments s where s.created_at = o.created_at and s.object_id = o.id)
      + (select count(*) from datasets d where d.object_id = o.id and (d.is_live or d.hidden_by is not null)))`
}

export async function selectStandings(sql: SqlSession, objectIds: readonly string[]): Promise<ObjectStanding[]> {
  const rows = await sql<
    { id: string; registered: boolean; retired: boolean; live: number | null; deleted: boolean; tombstone: boolean }[]
  >`
    select k.id, i.id is not null as registered, i.retired_at is not null as retired,
      case when o.id is not null then greatest(o.live_datasets, ${liveRows(sql)}) end::int as live,
      o.deleted_at is not null as deleted, t.object_id is not null as tombstone
    from unnest(${objectIds}::text[]) as k(id)
    left join object_ids i on i.id = k.id
    left join objects o on o.id = k.id
    left join tombstones t on t.object_id = k.id
    order by k.id`
  return rows.map((row) => ({
    objectId: row.id,
    isRegistered: row.registered,
    isRetired: row.retired,
    liveDatasets: row.live ?? undefined,
    isDeleted: row.deleted,
    hasTombstone: row.tombstone,
  }))
}

export interface LiveObject {
  readonly objectId: string
  readonly level: number
  readonly sizeBytes: number
  /** As its row counts them, and as the rows of its datasets do. */
  readonly counted: number
  readonly actual: number
}

export async function selectLiveObjects(sql: SqlSession, after: string, limit: number): Promise<LiveObject[]> {
  const rows = await sql<{ id: string; level: number; size: number; counted: number; actual: number }[]>`
    select o.id, o.level, o.size_bytes as size, o.live_datasets as counted, ${liveRows(sql)} as actual
    from objects o where o.id > ${after} and (o.live_datasets > 0 or ${liveRows(sql)} > 0) order by o.id limit ${limit}`
  return rows.map((row) => ({
    objectId: row.id,
    level: row.level,
    sizeBytes: row.size,
    counted: row.counted,
    actual: Number(row.actual),
  }))
}

export async function countLiveObjects(sql: SqlSession): Promise<number> {
  const [row] = await sql<{ count: number }[]>`select count(*) as count from objects where live_datasets > 0`
  return row!.count
}

/** Live ones. */
export async function selectDatasetsOf(sql: SqlSession, objectId: string): Promise<ComparedDataset[]> {
  const rows = await sql<
    {
      index: number
      tenant: string
      service: string
      dataset_offset: number
      size_bytes: number
      profile_count: number
      sample_count: number
      min_time_ms: number
      max_time_ms: number
    }[]
  >`
    select (d.n - 1)::int as index, d.tenant, d.service, d.dataset_offset, d.size_bytes, d.profile_count, d.sample_count,
      d.min_time_ms, d.max_time_ms
    from objects o
    join segments s on s.created_at = o.created_at and s.object_id = o.id
    cross join lateral unnest(s.tenant, s.service, s.dataset_offset, s.dataset_size_bytes, s.profile_count,
      s.sample_count, s.dataset_min_time_ms, s.dataset_max_time_ms) with ordinality
      as d(tenant, service, dataset_offset, size_bytes, profile_count, sample_count, min_time_ms, max_time_ms, n)
    where o.id = ${objectId} and get_bit(s.live, (d.n - 1)::int) = 1
    union all
    select d.dataset_index, d.tenant, d.service, d.dataset_offset, d.size_bytes, d.profile_count, d.sample_count,
      d.min_time_ms, d.max_time_ms
    from datasets d where d.object_id = ${objectId} and d.is_live
    order by index`
  return rows.map((row) => ({
    index: row.index,
    tenant: row.tenant,
    service: row.service,
    offset: row.dataset_offset,
    sizeBytes: row.size_bytes,
    profileCount: row.profile_count,
    sampleCount: row.sample_count,
    minTimeMs: row.min_time_ms,
    maxTimeMs: row.max_time_ms,
  }))
}

/** Sources of open jobs that are no objects. */
export async function selectDanglingJobs(
  sql: SqlSession,
  limit: number,
): Promise<{ jobId: string; objectId: string; state: string }[]> {
  const rows = await sql<{ id: string; object_id: string; state: string }[]>`
    select j.id::text, js.object_id, j.state from job_sources js join jobs j on j.id = js.job_id
    where not exists (select from objects o where o.id = js.object_id)
    order by js.object_id limit ${limit}`
  return rows.map((row) => ({ jobId: row.id, objectId: row.object_id, state: row.state }))
}

/** Jobs that nobody runs; their other sources are planned anew. */
export async function dropDanglingJobs(sql: SqlSession, jobIds: readonly string[]): Promise<number> {
  const result = await sql`delete from jobs where id = any(${jobIds}::bigint[]) and state in ('queued', 'parked')`
  return result.count
}

/** Tombstones for what nothing refers to, if that is still so once its rows are locked: see `recount`. */
export async function buryObjects(sql: Sql, objectIds: readonly string[]): Promise<void> {
  await sql.begin(async (tx) => {
    await tx`select from object_ids where id = any(${objectIds}::text[]) order by id for update`
    await lockObjects(tx, objectIds)
    await tx`
      with dead as (
        select k.id from unnest(${objectIds}::text[]) as k(id)
        join object_ids i on i.id = k.id left join objects o on o.id = k.id
        where coalesce(o.live_datasets, 0) = 0 and (o.id is not null or i.retired_at is not null)
          and (o.id is null or ${liveRows(tx)} = 0)
      ), undeleted as (
        update objects o set deleted_at = null from dead where o.id = dead.id
      )
      insert into tombstones (object_id, due_at) select id, now() from dead order by id on conflict (object_id) do nothing`
  })
}

/** Tombstones of live objects go. */
export async function keepObjects(sql: SqlSession, objectIds: readonly string[]): Promise<void> {
  await sql`
    delete from tombstones t using objects o
    where t.object_id = any(${objectIds}::text[]) and o.id = t.object_id and o.live_datasets > 0`
}

/**
 * Counts again, under the lock of every commit. The count is a statement of its own: one that waited for the lock would go
 * on with the snapshot that it began with, and count what the commit before it has retired.
 */
export async function recount(sql: Sql, objectIds: readonly string[]): Promise<void> {
  await sql.begin(async (tx) => {
    await lockObjects(tx, objectIds)
    await tx`
      update objects o set live_datasets = c.live from (
        select o.id, ${liveRows(tx)} as live from objects o where o.id = any(${objectIds}::text[])
      ) as c where o.id = c.id`
  })
}

async function lockObjects(tx: SqlSession, objectIds: readonly string[]): Promise<void> {
  await tx`select from objects where id = any(${objectIds}::text[]) order by id for update`
}
