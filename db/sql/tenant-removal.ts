/**
 * What a deletion does to data, in batches under the lease of its duty; each may be repeated.
 *
 * 1. hideDatasets: live rows of dead incarnations are taken from sight; they still count for their object, so that it is
 *    not deleted before the delay is over. restoreDatasets is its opposite.
 * 2. noteObjects, noteSegments: every object that holds data of the tenant, live or retired, enters the list that the
 *    receipt counts, partition by partition.
 * 3. removeDatasets: hidden rows are retired for good, objects counted down, tombstones written at zero.
 * 4. noteGoneObjects: objects that are deleted from the store are ticked off.
 * Locks: the lease, then objects and datasets in the order (object id, dataset), as everywhere.
 */
import type { PendingQuery, Row } from 'postgres'
import { plannedAnew, type SqlSession } from '../client.ts'
import type { TimeSlice } from '../partitions.ts'
import { heldLease } from './lease-held.ts'
import type { LeaseTerm } from './leases.ts'
import type { DeletionRow, DeletionState } from './tenant-deletions.ts'

/** Year 9999: what is beyond is for ever. */
const FAR_MS = 253_402_300_800_000

export interface RemovalBatch {
  readonly term: LeaseTerm
  readonly deletion: Pick<DeletionRow, 'id' | 'tenant' | 'deadBelow'>
  readonly batchRows: number
}

/** Number of datasets hidden. */
export async function hideDatasets(sql: SqlSession, { term, deletion, batchRows }: RemovalBatch): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    with lease as materialized (${heldLease(sql, term)}),
    picked as materialized (
      select d.window_start_ms, d.object_id, d.dataset_index, d.size_bytes, d.profile_count, d.min_time_ms, d.max_time_ms
      from datasets d
      where exists (select from lease) and d.is_live and d.tenant = ${deletion.tenant}
        and d.incarnation < ${deletion.deadBelow}
      order by d.object_id, d.dataset_index limit ${batchRows}
      for update of d
    ), hidden as (
      update datasets d set is_live = false, hidden_by = ${deletion.id}
      from picked p
      where d.window_start_ms = p.window_start_ms and d.object_id = p.object_id and d.dataset_index = p.dataset_index
    ), counted as (
      update tenant_deletions t set
        dataset_count = t.dataset_count + c.datasets, profile_count = t.profile_count + c.profiles,
        size_bytes = t.size_bytes + c.bytes, oldest_ms = least(t.oldest_ms, c.oldest),
        newest_ms = greatest(t.newest_ms, c.newest)
      from (
        select count(*) as datasets, sum(profile_count) as profiles, sum(size_bytes) as bytes,
          min(min_time_ms) as oldest, max(max_time_ms) as newest from picked
      ) as c
      where t.id = ${deletion.id} and c.datasets > 0
    )
    select count(*)::int as count from picked`
  return row!.count
}

/**
 * Number of objects that enter the list: those of rows of `datasets` whose window starts in the slice. A slice is a
 * partition at most, and taken at once: in batches each would read again what those before have noted.
 */
export async function noteObjects(
  sql: SqlSession,
  { term, deletion }: Omit<RemovalBatch, 'batchRows'>,
  slice: TimeSlice,
): Promise<number> {
  const found = sql`
    select distinct d.object_id from datasets d
    where not d.is_live and d.tenant = ${deletion.tenant} and d.incarnation < ${deletion.deadBelow}
      and d.window_start_ms >= ${slice.fromMs}::bigint and d.window_start_ms < ${slice.toMs}::bigint`
  return await note(sql, { term, deletion }, found)
}

/** The same of packed segments that arrived in the slice. */
export async function noteSegments(
  sql: SqlSession,
  { term, deletion }: Omit<RemovalBatch, 'batchRows'>,
  slice: TimeSlice,
): Promise<number> {
  const at = (ms: number) =>
    Number.isSafeInteger(ms) && Math.abs(ms) < FAR_MS
      ? sql`to_timestamp(${ms}::float8 / 1000)`
      : sql`${ms < 0 ? '-infinity' : 'infinity'}::text::timestamptz`
  const found = sql`
    select s.object_id from segments s
    where s.created_at >= ${at(slice.fromMs)} and s.created_at < ${at(slice.toMs)}
      and s.tenant && ${[deletion.tenant]}::text[] and exists (
        select from unnest(s.tenant) with ordinality as t(tenant, n)
        where t.tenant = ${deletion.tenant} and coalesce(s.incarnation[t.n], 1) < ${deletion.deadBelow}
          and get_bit(s.live, t.n::int - 1) = 0)`
  return await note(sql, { term, deletion }, found)
}

async function note(
  sql: SqlSession,
  { term, deletion }: Omit<RemovalBatch, 'batchRows'>,
  found: PendingQuery<Row[]>,
): Promise<number> {
  const ofTenant = sql`d.tenant = ${deletion.tenant} and d.incarnation < ${deletion.deadBelow}`
  const query = sql`
    with lease as materialized (${heldLease(sql, term)}),
    found as materialized (${found}),
    fresh as materialized (
      select o.id, o.created_at from found f join objects o on o.id = f.object_id
      where o.deleted_at is null and not exists (
        select from tenant_deletion_objects k where k.deletion_id = ${deletion.id} and k.object_id = o.id)
      order by o.id
    )
    insert into tenant_deletion_objects (deletion_id, object_id, size_bytes, is_shared)
    select ${deletion.id}, f.id, greatest(rows.size_bytes, packed.size_bytes, 0),
      coalesce(rows.is_shared, false) or coalesce(packed.is_shared, false)
    from fresh f
    cross join lateral (
      select sum(d.size_bytes) filter (where not d.is_live and ${ofTenant}) as size_bytes,
        bool_or(d.is_live and d.tenant <> ${deletion.tenant}) as is_shared
      from datasets d where d.object_id = f.id
    ) as rows
    left join lateral (
      select s.is_live as is_shared, (
        select sum(t.size_bytes) from unnest(s.tenant, s.dataset_size_bytes) with ordinality as t(tenant, size_bytes, n)
        where t.tenant = ${deletion.tenant} and coalesce(s.incarnation[t.n], 1) < ${deletion.deadBelow}
          and get_bit(s.live, t.n::int - 1) = 0) as size_bytes
      from segments s where s.created_at = f.created_at and s.object_id = f.id
    ) as packed on true
    where exists (select from lease)
    on conflict (deletion_id, object_id) do nothing`
  return (await plannedAnew(query)).count
}

/** Number of datasets that are back. */
export async function restoreDatasets(sql: SqlSession, { term, deletion, batchRows }: RemovalBatch): Promise<number> {
  const result = await sql`
    with lease as materialized (${heldLease(sql, term)}),
    picked as materialized (
      select d.window_start_ms, d.object_id, d.dataset_index from datasets d
      where exists (select from lease) and d.hidden_by = ${deletion.id}
      order by d.object_id, d.dataset_index limit ${batchRows}
      for update of d
    )
    update datasets d set is_live = true, hidden_by = null from picked p
    where d.window_start_ms = p.window_start_ms and d.object_id = p.object_id and d.dataset_index = p.dataset_index`
  return result.count
}

/** Number of datasets retired for good. */
export async function removeDatasets(
  sql: SqlSession,
  { term, deletion, batchRows }: RemovalBatch,
  deletionGraceMs: number,
): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    with lease as materialized (${heldLease(sql, term)}),
    picked as materialized (
      select d.window_start_ms, d.object_id, d.dataset_index
      from datasets d join objects o on o.id = d.object_id
      where exists (select from lease) and d.hidden_by = ${deletion.id}
      order by d.object_id, d.dataset_index limit ${batchRows}
      for update of o, d
    ), retired as (
      update datasets d set hidden_by = null from picked p
      where d.window_start_ms = p.window_start_ms and d.object_id = p.object_id and d.dataset_index = p.dataset_index
    ), counted_down as (
      update objects o set live_datasets = o.live_datasets - p.count
      from (select object_id, count(*)::int as count from picked group by object_id) as p
      where o.id = p.object_id
      returning o.id, o.live_datasets
    ), tombstone as (
      insert into tombstones (object_id, due_at)
      select id, now() + ${deletionGraceMs}::float8 * interval '1 millisecond'
      from counted_down where live_datasets = 0 order by id
      on conflict (object_id) do nothing
    )
    select count(*)::int as count from picked`
  return row!.count
}

export async function removeLabelSets(sql: SqlSession, { term, deletion, batchRows }: RemovalBatch): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    with lease as materialized (${heldLease(sql, term)}),
    picked as materialized (
      select tenant, window_start_ms, hash, incarnation from label_sets
      where exists (select from lease) and tenant = ${deletion.tenant} and incarnation < ${deletion.deadBelow}
      limit ${batchRows}
    ), deleted as (
      delete from label_sets l using picked p
      where l.tenant = p.tenant and l.window_start_ms = p.window_start_ms and l.hash = p.hash
        and l.incarnation = p.incarnation
      returning 1
    ), counted as (
      update tenant_deletions set label_set_count = label_set_count + (select count(*) from deleted)
      where id = ${deletion.id} and exists (select from picked)
    )
    select count(*)::int as count from picked`
  return row!.count
}

/** Objects that are deleted, and confirmed so, are ticked off. Returns how many are left. */
export async function noteGoneObjects(sql: SqlSession, { term, deletion }: RemovalBatch): Promise<number> {
  await sql`
    with lease as materialized (${heldLease(sql, term)})
    update tenant_deletion_objects k set gone_at = now()
    where exists (select from lease) and k.deletion_id = ${deletion.id} and k.gone_at is null
      and not exists (select from objects o where o.id = k.object_id and o.deleted_at is null)`
  const [row] = await sql<{ left: number }[]>`
    select count(*)::int as left from tenant_deletion_objects where deletion_id = ${deletion.id} and gone_at is null`
  return row!.left
}

/** One step of a deletion's life. False if somebody else moved it meanwhile, or the lease has moved. */
export async function moveDeletion(
  sql: SqlSession,
  { term, deletion }: RemovalBatch,
  { from, to }: { readonly from: DeletionState; readonly to: DeletionState },
): Promise<boolean> {
  const rows = await sql`
    with lease as materialized (${heldLease(sql, term)}),
    moved as (
      update tenant_deletions set state = ${to},
        removing_at = case when ${to}::text = 'removing' then now() else removing_at end,
        finished_at = case when ${to}::text in ('done', 'restored') then now() else finished_at end
      where exists (select from lease) and id = ${deletion.id} and state = ${from} and dead_below = ${deletion.deadBelow}
      returning id
    ), final as (
      update tenant_incarnations set is_final = true
      where ${to}::text = 'removing' and tenant = ${deletion.tenant} and live_from = ${deletion.deadBelow}
        and exists (select from moved)
    ), forgotten as (
      delete from tenant_deletion_objects
      where ${to}::text = 'restored' and deletion_id = ${deletion.id} and exists (select from moved)
    )
    select id from moved`
  return rows.length === 1
}
