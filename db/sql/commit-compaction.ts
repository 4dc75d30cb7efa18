/**
 * Commit of a compaction job: ONE statement with a verdict on which all its effects hang.
 *
 * 1. job: the row is locked. A concurrent commit of the same job waits and then sees what this one made of it.
 * 2. standing: `try` if epoch and holder are those of the running assignment; `repeat` if this very commit was judged
 *    before; else `lost`.
 * 3. segment_source, dataset_source: the source rows are locked in the order (object id, dataset) and the LOCKED rows
 *    are judged: FOR UPDATE gives the newest version of a row that changed after the snapshot was taken.
 *    The datasets of a segment are in its row until it is unpacked (unpack-segments.ts), then all of them in datasets.
 * 4. bad: a source object that has not exactly the datasets and skip lists that the job was planned with. A vanished row
 *    gives null, so the comparison is `is distinct from`: with `<>` a missing source would pass. So is one that holds
 *    anything of a dead incarnation: what a tenant's deletion hides is merged with nothing, and outputs are of the
 *    incarnation that is new in this snapshot (a deletion that comes later hides them with the rest).
 * 5. unbalanced: outputs that do not hold the profiles of the sources, by the rule of core/compaction/balance.ts, over the
 *    locked rows. Whatever a worker believes, such a commit publishes nothing, keeps every source, and parks the job.
 * 6. registered: the ids of the outputs enter the register. An id that is there already was collected as an orphan or
 *    belongs to another commit: nothing is published under it.
 * 7. verdict, then the effects. committed: outputs in, sources retired, a tombstone for each object whose last dataset
 *    this retired, job done. stale: job closed, its sources free for a new plan. not-conserved: job parked. Not committed: outputs are tombstoned,
 *    but only ids registered here, so a late repeat can never tombstone what is published. Live sources are never given
 *    up for nothing: a commit without outputs is refused, and the job fails with its lease.
 */
import type { CommitCompactionRequest, CommitCompactionResponse } from '#core/rpc/metastore.ts'
import type { SqlSession } from '../client.ts'
import { balance, outputRows, parkUnbalanced } from './commit-balance.ts'

export async function commitCompaction(
  sql: SqlSession,
  request: CommitCompactionRequest,
  options: { readonly deletionGraceMs: number },
): Promise<CommitCompactionResponse> {
  const { workerId, jobId, epoch } = request
  const outputs = [...request.outputs].sort((a, b) => (a.objectId < b.objectId ? -1 : 1))
  const outputIds = outputs.map((output) => output.objectId)
  const due = sql`now() + ${options.deletionGraceMs}::float8 * interval '1 millisecond'`
  const [row] = await sql<{ verdict: string; stale_object_ids: string[] }[]>`
    with job as materialized (
      select id, state, epoch, holder, output_ids, stale_object_ids from jobs where id = ${jobId}::bigint for update
    ), standing as materialized (
      select case
          when job.state = 'running' and job.epoch = ${epoch} and job.holder = ${workerId} then 'try'
          when job.state in ('done', 'stale', 'parked') and job.epoch = ${epoch}
            and job.output_ids is not distinct from ${outputIds}::text[] then 'repeat'
          else 'lost'
        end as standing, job.state, job.stale_object_ids
      from (select 1) as one left join job on true
    ), planned as materialized (
      select js.object_id, js.indexes, js.skip_dataset, js.skip_position, o.level, o.created_at
      from standing, job_sources js left join objects o on o.id = js.object_id
      where standing.standing = 'try' and js.job_id = ${jobId}::bigint
    ), segment_source as materialized (
      select s.object_id, p.indexes, s.live, s.is_live, s.tenant, s.incarnation, s.skip_dataset, s.skip_position,
        s.service, s.window_start_ms, s.profile_count, s.sample_count
      from planned p
      join objects o on o.id = p.object_id
      join segments s on s.created_at = p.created_at and s.object_id = p.object_id
      order by s.object_id
      for update of o, s
    ), dataset_source as materialized (
      select d.object_id, d.dataset_index, d.is_live, d.tenant, d.incarnation, d.skip_positions, d.service,
        d.window_start_ms, d.profile_count, d.sample_count
      from planned p
      join objects o on o.id = p.object_id
      join datasets d on d.object_id = p.object_id and d.dataset_index = any(p.indexes)
      where p.level > 0 or not exists (select from segment_source s where s.object_id = p.object_id and s.is_live)
      order by d.object_id, d.dataset_index
      for update of o, d
    ), found as (
      select s.object_id,
        case when bit_count(s.live) = length(s.live) and s.indexes[cardinality(s.indexes)] < length(s.live) then s.indexes
          else array(select i from unnest(s.indexes) as i where i < length(s.live) and get_bit(s.live, i) = 1 order by i)
        end as indexes,
        array(select k.d from unnest(s.skip_dataset, s.skip_position) as k(d, n) where k.d = any(s.indexes) order by k.d, k.n) as skip_dataset,
        array(select k.n from unnest(s.skip_dataset, s.skip_position) as k(d, n) where k.d = any(s.indexes) order by k.d, k.n) as skip_position
      from segment_source s where s.is_live
      union all
      select d.object_id,
        array_agg(distinct d.dataset_index order by d.dataset_index) filter (where d.is_live),
        coalesce(array_agg(d.dataset_index order by d.dataset_index, k.position) filter (where k.position is not null), '{}'),
        coalesce(array_agg(k.position order by d.dataset_index, k.position) filter (where k.position is not null), '{}')
      from dataset_source d left join lateral unnest(d.skip_positions) as k(position) on true
      group by d.object_id
    ), bad as materialized (
      select p.object_id from planned p left join found f on f.object_id = p.object_id
      where f.indexes is distinct from p.indexes
        or f.skip_dataset is distinct from p.skip_dataset
        or f.skip_position is distinct from p.skip_position
      union
      select s.object_id from segment_source s
      cross join lateral (select cardinality(s.indexes) = cardinality(s.tenant) as is_whole offset 0) as of
      cross join lateral unnest(s.tenant) with ordinality as d(tenant, n)
      join tenant_incarnations i on i.tenant = d.tenant
      where exists (select from tenant_incarnations) and coalesce(s.incarnation[d.n], 1) < i.live_from
        and (of.is_whole or d.n::int - 1 = any(s.indexes))
      union
      select d.object_id from dataset_source d join tenant_incarnations i on i.tenant = d.tenant
      where d.incarnation < i.live_from
    ), output as materialized (
      ${outputRows(sql, outputs)}
    ), ${balance(sql, request)}, registered as (
      insert into object_ids (id)
      select o.id from standing, unnest(${outputIds}::text[]) as o(id) where standing.standing <> 'repeat' order by o.id
      on conflict (id) do nothing returning id
    ), verdict as materialized (
      select case
          when standing = 'repeat' then
            case state when 'done' then 'committed' when 'parked' then 'not-conserved' else 'stale' end
          when standing = 'lost' then 'lost-lease'
          when (select count(*) from registered) <> ${outputIds.length}::int then 'lost-lease'
          when exists (select from bad) or not exists (select from planned) then 'stale'
          when ${outputIds.length}::int = 0 then 'lost-lease'
          when exists (select from unbalanced) then 'not-conserved'
          else 'committed'
        end as verdict,
        standing = 'try' as is_first,
        case when standing = 'repeat' then coalesce(stale_object_ids, '{}')
          else array(select object_id from bad order by object_id) end as stale_object_ids
      from standing
    ), output_object as (
      insert into objects (id, level, size_bytes, live_datasets)
      select o.id, o.level, o.size_bytes, case when v.verdict = 'committed' then o.dataset_count else 0 end
      from verdict v, unnest(${outputIds}::text[], ${outputs.map((o) => o.level)}::int[],
        ${outputs.map((o) => o.sizeBytes)}::bigint[], ${outputs.map((o) => o.datasets.length)}::int[]
      ) as o(id, level, size_bytes, dataset_count)
      where o.id in (select id from registered)
      returning id
    ), output_dataset as (
      insert into datasets (object_id, dataset_index, level, object_size_bytes, tenant, service, window_start_ms,
        window_ms, min_time_ms, max_time_ms, dataset_offset, size_bytes, head_bytes, profile_count, sample_count,
        incarnation)
      select d.*, coalesce((select incarnation from tenant_incarnations i where i.tenant = d.tenant), 1)
      from verdict v, output d
      where v.verdict = 'committed' and v.is_first
    ), retired_segment as (
      update segments s set is_live = bit_count(s.live) > cardinality(p.indexes),
        live = case when bit_count(s.live) <= cardinality(p.indexes) then s.live # s.live else (
          select string_agg(case when n = any(p.indexes) then '0' else get_bit(s.live, n)::text end, '' order by n)
          from generate_series(0, length(s.live) - 1) as n)::bit varying end
      from verdict v, planned p
      where v.verdict = 'committed' and s.created_at = p.created_at and s.object_id = p.object_id and s.is_live
    ), retired_dataset as (
      update datasets d set is_live = false
      from verdict v, planned p
      where v.verdict = 'committed' and d.object_id = p.object_id and d.dataset_index = any(p.indexes)
        and p.object_id in (select object_id from dataset_source)
    ), counted_down as (
      update objects o set live_datasets = o.live_datasets - cardinality(p.indexes)
      from verdict v, planned p where v.verdict = 'committed' and o.id = p.object_id
      returning o.id, o.live_datasets
    ), tombstone as (
      insert into tombstones (object_id, due_at)
      select id, ${due} from counted_down where live_datasets = 0
      union all
      select o.id, ${due} from output_object o, verdict v where v.verdict <> 'committed'
      on conflict (object_id) do nothing
    ), freed as (
      delete from job_sources js using verdict v
      where js.job_id = ${jobId}::bigint and v.is_first and v.verdict in ('committed', 'stale')
    ), closed as (
      update jobs j set state = case v.verdict when 'committed' then 'done' else 'stale' end, holder = null,
        expires_at = null, finished_at = now(), output_ids = ${outputIds}::text[], stale_object_ids = v.stale_object_ids
      from verdict v where j.id = ${jobId}::bigint and v.is_first and v.verdict in ('committed', 'stale')
    ), ${parkUnbalanced(sql, request)}
    select verdict, stale_object_ids from verdict`
  return { verdict: row!.verdict, staleObjectIds: row!.stale_object_ids }
}
