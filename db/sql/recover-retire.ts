/**
 * Datasets leave the index: another object replaces them, or their object is gone. Rows are locked in the order of the
 * commits (object, then dataset); an object that this brings to zero gets its tombstone. What is dead already stays so.
 */
import type { SqlSession } from '../client.ts'

export interface DatasetRef {
  readonly objectId: string
  readonly index: number
}

/** Returns what was live until now. Must run in a transaction: two tables hold datasets. */
export async function retireDatasets(
  sql: SqlSession,
  refs: readonly DatasetRef[],
  options: { readonly deletionGraceMs: number },
): Promise<DatasetRef[]> {
  if (refs.length === 0) return []
  const rows = await sql<{ object_id: string; index: number }[]>`
    with ref as materialized (
      select r.object_id, r.index from unnest(${refs.map((r) => r.objectId)}::text[], ${refs.map((r) => r.index)}::int[])
        as r(object_id, index)
    ), held as materialized (
      select o.id, o.created_at from objects o where o.id in (select object_id from ref) order by o.id for update of o
    ), segment as materialized (
      select s.object_id, s.created_at, s.live from held h
      join segments s on s.created_at = h.created_at and s.object_id = h.id
      order by s.object_id for update of s
    ), dataset as materialized (
      select d.object_id, d.dataset_index from ref r
      join held h on h.id = r.object_id
      join datasets d on d.object_id = r.object_id and d.dataset_index = r.index
      where d.is_live order by d.object_id, d.dataset_index for update of d
    ), hit as materialized (
      select s.object_id, r.index from segment s join ref r on r.object_id = s.object_id
      where r.index < length(s.live) and get_bit(s.live, r.index) = 1
      union
      select object_id, dataset_index from dataset
    ), left_over as (
      select s.object_id, s.created_at, string_agg(case when h.index is null then get_bit(s.live, i)::text else '0' end, ''
        order by i)::bit varying as live
      from segment s cross join generate_series(0, length(s.live) - 1) as i
      left join hit h on h.object_id = s.object_id and h.index = i
      where s.object_id in (select object_id from hit)
      group by s.object_id, s.created_at
    ), retired_segment as (
      update segments s set live = l.live, is_live = position(B'1' in l.live) > 0
      from left_over l where s.created_at = l.created_at and s.object_id = l.object_id
    ), retired_dataset as (
      update datasets d set is_live = false from hit h
      where d.object_id = h.object_id and d.dataset_index = h.index and d.is_live
    ), counted_down as (
      update objects o set live_datasets = o.live_datasets - c.count
      from (select object_id, count(*) from hit group by object_id) as c where o.id = c.object_id
      returning o.id, o.live_datasets
    ), tombstone as (
      insert into tombstones (object_id, due_at)
      select id, now() + ${options.deletionGraceMs}::float8 * interval '1 millisecond' from counted_down
      where live_datasets = 0 on conflict (object_id) do nothing
    )
    select object_id, index from hit order by 1, 2`
  return rows.map((row) => ({ objectId: row.object_id, index: row.index }))
}
