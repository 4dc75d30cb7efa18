/**
 * Expires datasets that lie wholly below the bound of their rule, in batches: retired, their objects counted down, and an
 * object that nothing is live in becomes a tombstone. A job that holds one of them will be stale.
 *
 * The bounds come as lists, everybody's among them; a hash join finds the rule of each dataset. Days are asked one by one
 * whether they have anything to expire, in the order of the table; those above every bound are not. In a day that has, a
 * batch looks at a page of rows in the order of the key and tells where the next begins: each row is read once, however
 * many batches it takes. A rule that became much shorter took as many readings of all. Locks: the lease, then objects and datasets in the order (object id, dataset), as
 * commits of compactions take them; what somebody else has locked is left for the next batch.
 */
import type { RetentionBound } from '#core/retention/rules.ts'
import { MS_PER_HOUR } from '#core/units.ts'
import { plannedAnew, type SqlSession } from '../client.ts'
import type { TimeSlice } from '../partitions.ts'
import { heldLease } from './lease-held.ts'
import type { LeaseTerm } from './leases.ts'

export interface ExpireBatch {
  readonly term: LeaseTerm
  readonly bounds: readonly RetentionBound[]
  readonly batchRows: number
  readonly deletionGraceMs: number
}

/** Of a row of `datasets`; rows above it are next. */
export interface DatasetCursor {
  readonly windowStartMs: number
  readonly objectId: string
  readonly datasetIndex: number
}

/** Before all rows of a slice. */
export function beforeSlice({ fromMs }: TimeSlice): DatasetCursor {
  return { windowStartMs: fromMs, objectId: '', datasetIndex: -1 }
}

/** Of the datasets whose windows start in the slice. */
export async function hasExpired(
  sql: SqlSession,
  bounds: readonly RetentionBound[],
  slice: TimeSlice,
): Promise<boolean> {
  const query = sql<{ found: boolean }[]>`
    with ${ruleBounds(sql, bounds)}
    select exists (
      select from datasets d ${joinBounds(sql)}
      where d.is_live and d.window_start_ms >= ${slice.fromMs}::bigint and d.window_start_ms < ${slice.toMs}::bigint
        and ${isBelow(sql)}
    ) as found`
  const [row] = await plannedAnew(query)
  return row!.found
}

/** Of `datasets d`: the bounds that may hold for it. */
function joinBounds(sql: SqlSession) {
  return sql`left join bound own on own.tenant = d.tenant and own.service = d.service
      left join bound wide on wide.tenant = d.tenant and wide.service = ''`
}

function isBelow(sql: SqlSession) {
  return sql`d.max_time_ms < coalesce(own.bound_ms, wide.bound_ms, (select bound_ms from bound where tenant = ''))`
}

export interface Expired {
  readonly datasets: number
  readonly bytes: number
  /** Objects that became tombstones. */
  readonly objects: number
}

export interface ExpiredBatch extends Expired {
  /** Where the next batch of the slice begins; undefined = this was the last. */
  readonly next: DatasetCursor | undefined
}

export async function expireDatasets(
  sql: SqlSession,
  batch: ExpireBatch & { readonly after: DatasetCursor; readonly toMs: number; readonly pageRows: number },
): Promise<ExpiredBatch> {
  const { bounds, batchRows, deletionGraceMs, term, after, toMs, pageRows } = batch
  // With its values: for any values Postgres would not know that the page is a small part of the table.
  const query = sql<(Expired & { cursor: [number, string, number] | null })[]>`
    with lease as materialized (${heldLease(sql, term)}),
    ${ruleBounds(sql, bounds)},
    page as materialized (
      select d.window_start_ms, d.object_id, d.dataset_index, d.size_bytes, d.is_live, d.tenant, d.service, d.max_time_ms
      from datasets d
      where (select true from lease) and d.window_start_ms < ${toMs}::bigint
        and d.window_start_ms >= ${after.windowStartMs}::bigint
        and (d.window_start_ms, d.object_id, d.dataset_index)
          > (${after.windowStartMs}::bigint, ${after.objectId}::text, ${after.datasetIndex}::int)
      order by d.window_start_ms, d.object_id, d.dataset_index limit ${pageRows}
    ), picked as materialized (
      select d.window_start_ms, d.object_id, d.dataset_index, d.size_bytes
      from page d
      ${joinBounds(sql)}
      where d.is_live and ${isBelow(sql)}
      order by d.window_start_ms, d.object_id, d.dataset_index limit ${batchRows}
    ), locked as materialized (
      select d.window_start_ms, d.object_id, d.dataset_index, d.size_bytes
      from picked p join objects o on o.id = p.object_id
      join datasets d on d.window_start_ms = p.window_start_ms and d.object_id = p.object_id
        and d.dataset_index = p.dataset_index
      where d.is_live
      order by d.object_id, d.dataset_index
      for update of o, d skip locked
    ), retired as (
      update datasets d set is_live = false from locked l
      where d.window_start_ms = l.window_start_ms and d.object_id = l.object_id and d.dataset_index = l.dataset_index
    ), counted_down as (
      update objects o set live_datasets = o.live_datasets - l.count
      from (select object_id, count(*)::int as count from locked group by object_id) as l
      where o.id = l.object_id
      returning o.id, o.live_datasets
    ), tombstone as (
      insert into tombstones (object_id, due_at)
      select id, now() + ${deletionGraceMs}::float8 * interval '1 millisecond'
      from counted_down where live_datasets = 0 order by id
      on conflict (object_id) do nothing
      returning object_id
    )
    select (select count(*) from locked)::int as datasets,
      (select coalesce(sum(size_bytes), 0) from locked)::float8 as bytes,
      (select count(*) from tombstone)::int as objects,
      -- A full batch ends at its last row, any other at the end of its page, and a short page is the last.
      case when (select count(*) from picked) = ${batchRows}::int then (select ${lastOf(sql)} from picked d)
        when (select count(*) from page) = ${pageRows}::int then (select ${lastOf(sql)} from page d)
      end as cursor`
  const [row] = await plannedAnew(query)
  const { cursor, ...expired } = row!
  if (cursor === null) return { ...expired, next: undefined }
  const [windowStartMs, objectId, datasetIndex] = cursor
  return { ...expired, next: { windowStartMs, objectId, datasetIndex } }
}

function lastOf(sql: SqlSession) {
  return sql`(array_agg(json_build_array(d.window_start_ms, d.object_id, d.dataset_index)
    order by d.window_start_ms desc, d.object_id desc, d.dataset_index desc))[1]`
}

/**
 * Label sets go with their hour, by the rule of the service that they name. The row that stands for sets that were left out
 * (label-sets.ts) goes by the rule that keeps longest: it may stand for any. With rules for some services alone it stays,
 * as what the others have does. Tenants are found by hops over the key, so that a pass costs what it deletes and one look
 * a tenant.
 */
export async function expireLabelSets(
  sql: SqlSession,
  batch: Pick<ExpireBatch, 'term' | 'bounds' | 'batchRows'>,
): Promise<number> {
  const { bounds, batchRows, term } = batch
  const result = await sql`
    with recursive lease as materialized (${heldLease(sql, term)}),
    ${ruleBounds(sql, bounds)},
    tenant(name) as (
      (select tenant from label_sets order by tenant limit 1)
      union all
      select (select l.tenant from label_sets l where l.tenant > t.name order by l.tenant limit 1)
      from tenant t where t.name is not null
    ), highest as materialized (
      select t.name, greatest(max(own.bound_ms),
        coalesce(max(own.bound_ms) filter (where own.service = ''), (select bound_ms from bound where tenant = ''))) as bound_ms
      from tenant t left join bound own on own.tenant = t.name
      where t.name is not null group by t.name
    ), picked as materialized (
      select l.tenant, l.window_start_ms, l.hash, l.incarnation
      from highest h cross join lateral (
        select * from label_sets l
        where l.tenant = h.name and l.window_start_ms <= h.bound_ms - ${MS_PER_HOUR}::bigint
          and l.window_start_ms <= ${MS_PER_HOUR}::bigint * -1 + case
            when l.pairs[1] = '' then (
              select case when bool_or(any_of.service = '') then min(any_of.bound_ms) end
              from bound any_of where any_of.tenant in (l.tenant, ''))
            else coalesce(
              (select own.bound_ms from bound own where own.tenant = l.tenant and own.service <> '' and own.service = (
                select e.text from unnest(l.pairs) with ordinality as e(text, n)
                where n % 2 = 0 and l.pairs[n - 1] = 'service_name' limit 1)),
              (select wide.bound_ms from bound wide where wide.tenant = l.tenant and wide.service = ''),
              (select bound_ms from bound where tenant = ''))
            end
        limit ${batchRows}
      ) as l
      where exists (select from lease)
      limit ${batchRows}
    )
    delete from label_sets l using picked p
    where l.tenant = p.tenant and l.window_start_ms = p.window_start_ms and l.hash = p.hash
      and l.incarnation = p.incarnation`
  return result.count
}

function ruleBounds(sql: SqlSession, bounds: readonly RetentionBound[]) {
  return sql`bound as materialized (
      select tenant collate "C" as tenant, service collate "C" as service, bound_ms
      from unnest(${bounds.map((b) => b.tenant)}::text[], ${bounds.map((b) => b.service)}::text[],
        ${bounds.map((b) => b.boundMs)}::bigint[]) as b(tenant, service, bound_ms)
    )`
}

export function highestBound(bounds: readonly RetentionBound[]): number {
  return bounds.reduce((highest, { boundMs }) => Math.max(highest, boundMs), Number.MIN_SAFE_INTEGER)
}
