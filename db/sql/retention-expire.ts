/**
 * Expires datasets that lie wholly below the bound of their rule, in batches: retired, their objects counted down, and an
 * object that nothing is live in becomes a tombstone. A job that holds one of them will be stale.
 *
 * The bounds come as lists, everybody's among them; a hash join finds the rule of each dataset. Day partitions that begin
 * above every bound are not looked at. Locks: the lease, then objects and datasets in the order (object id, dataset), as
 * commits of compactions take them; what somebody else has locked is left for the next batch.
 */
import type { RetentionBound } from '#core/retention/rules.ts'
import { MS_PER_HOUR } from '#core/units.ts'
import type { SqlSession } from '../client.ts'
import { heldLease } from './lease-held.ts'
import type { LeaseTerm } from './leases.ts'

export interface ExpireBatch {
  readonly term: LeaseTerm
  readonly bounds: readonly RetentionBound[]
  readonly batchRows: number
  readonly deletionGraceMs: number
}

export interface Expired {
  readonly datasets: number
  readonly bytes: number
  /** Objects that became tombstones. */
  readonly objects: number
}

export async function expireDatasets(sql: SqlSession, batch: ExpireBatch): Promise<Expired> {
  const { bounds, batchRows, deletionGraceMs, term } = batch
  const [row] = await sql<Expired[]>`
    with lease as materialized (${heldLease(sql, term)}),
    ${ruleBounds(sql, bounds)},
    picked as materialized (
      select d.window_start_ms, d.object_id, d.dataset_index, d.size_bytes
      from datasets d
      left join bound own on own.tenant = d.tenant and own.service = d.service
      left join bound wide on wide.tenant = d.tenant and wide.service = ''
      where exists (select from lease) and d.is_live and d.window_start_ms < ${highestBound(bounds)}::bigint
        and d.max_time_ms < coalesce(own.bound_ms, wide.bound_ms, (select bound_ms from bound where tenant = ''))
      order by d.object_id, d.dataset_index limit ${batchRows}
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
      (select count(*) from tombstone)::int as objects`
  return row!
}

/**
 * Label sets go with their hour, by the rule of the service that they name. Tenants are found by hops over the key, so
 * that a pass costs what it deletes and one look a tenant.
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
          and l.window_start_ms <= ${MS_PER_HOUR}::bigint * -1 + coalesce(
            (select own.bound_ms from bound own where own.tenant = l.tenant and own.service <> '' and own.service = (
              select e.text from unnest(l.pairs) with ordinality as e(text, n)
              where n % 2 = 0 and l.pairs[n - 1] = 'service_name' limit 1)),
            (select wide.bound_ms from bound wide where wide.tenant = l.tenant and wide.service = ''),
            (select bound_ms from bound where tenant = ''))
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
