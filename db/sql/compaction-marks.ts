/** Marks: datasets that no plan takes, with the reason. One row an object, tenant and dataset; -1 is all of the tenant. */
import type { CompactionMark } from '#core/rpc/jobs.ts'
import type { SqlSession } from '../client.ts'

/** A mark is for what people looked at. */
export const MARKS_MAX = 100_000

interface MarkKey {
  readonly objectId: string
  readonly tenant: string
  readonly index: number
}

interface Row {
  object_id: string
  tenant: string
  dataset_index: number
  reason: string
  marked_ms: number
}

/** `unknown`: the tenant has no such dataset in the object. `full`: there are as many marks as there may be. */
export async function setMark(
  sql: SqlSession,
  mark: MarkKey & { readonly reason: string },
): Promise<CompactionMark | 'unknown' | 'full'> {
  const { objectId, tenant, index, reason } = mark
  const isOwn = sql`d.tenant = ${tenant}::text and (${index}::int = -1 or d.position = ${index}::int)`
  const [row] = await sql<(Row & { is_known: boolean })[]>`
    with known as materialized (
      select exists (
        select from objects o join segments s on s.created_at = o.created_at and s.object_id = o.id
        cross join lateral (select d.tenant, (d.n - 1)::int as position from unnest(s.tenant) with ordinality as d(tenant, n)) as d
        where o.id = ${objectId}::text and ${isOwn}
      ) or exists (
        select from (select tenant, dataset_index as position from datasets where object_id = ${objectId}::text) as d where ${isOwn}
      ) as is_known
    ), marked as (
      insert into compaction_marks (object_id, tenant, dataset_index, reason)
      select ${objectId}::text, ${tenant}::text, ${index}::int, ${reason}::text from known
      where is_known and (select count(*) from compaction_marks) < ${MARKS_MAX}
      on conflict (object_id, tenant, dataset_index) do update set reason = excluded.reason, marked_at = now()
      returning object_id, tenant, dataset_index, reason, (extract(epoch from marked_at) * 1000)::float8 as marked_ms
    )
    select is_known, marked.* from known left join marked on true`
  if (!row!.is_known) return 'unknown'
  return row!.object_id === null ? 'full' : toMark(row!)
}

export async function clearMark(sql: SqlSession, { objectId, tenant, index }: MarkKey): Promise<boolean> {
  const rows = await sql`
    delete from compaction_marks
    where object_id = ${objectId}::text and tenant = ${tenant}::text and dataset_index = ${index}::int returning object_id`
  return rows.length === 1
}

/** By object, tenant and dataset, behind the key given. */
export async function selectMarks(
  sql: SqlSession,
  filter: { readonly tenant: string; readonly after: MarkKey | undefined; readonly limit: number },
): Promise<CompactionMark[]> {
  const { tenant, after, limit } = filter
  const isLater =
    after === undefined
      ? sql`true`
      : sql`(object_id, tenant, dataset_index) > (${after.objectId}::text collate "C", ${after.tenant}::text collate "C", ${after.index}::int)`
  const rows = await sql<Row[]>`
    select object_id, tenant, dataset_index, reason, (extract(epoch from marked_at) * 1000)::float8 as marked_ms
    from compaction_marks where ${isLater} ${tenant === '' ? sql`` : sql`and tenant = ${tenant}::text`}
    order by object_id, tenant, dataset_index limit ${limit}`
  return rows.map(toMark)
}

function toMark(row: Row): CompactionMark {
  return {
    objectId: row.object_id,
    tenant: row.tenant,
    index: row.dataset_index,
    reason: row.reason,
    markedMs: Math.round(row.marked_ms),
  }
}
