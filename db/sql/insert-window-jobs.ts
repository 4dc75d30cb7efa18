/**
 * Planned merges of datasets enter the queue, under the same lease as first compaction (insert-jobs.ts). Of each source
 * the datasets that are live in this snapshot are copied with their skip lists: the commit will compare them with the
 * locked rows. A source of which nothing is live any more is left out, and a job without sources is not made.
 */
import type { WindowJob } from '#core/compaction/plan-windows.ts'
import type { SqlSession } from '../client.ts'
import { JOBS_CHANNEL } from './insert-jobs.ts'
import type { LeaseTerm } from './leases.ts'
import { newestGeneration } from './queue-generations.ts'
import { virtualNow } from './virtual-now.ts'

/** One delay per job (core/compaction/job-order.ts). Returns how many jobs were made: 0 also if the lease has moved. Fails with 23505 if a scope is taken. */
export async function insertWindowJobs(
  sql: SqlSession,
  jobs: readonly WindowJob[],
  options: { readonly term: LeaseTerm; readonly delaysSeconds: readonly number[]; readonly isSharded?: boolean },
): Promise<number> {
  const { term, delaysSeconds, isSharded = false } = options
  const sources = jobs.flatMap((job, ordinal) =>
    job.sources.flatMap(({ objectId, indexes }) => indexes.map((index) => ({ ordinal, objectId, index }))),
  )
  const rows = await sql`
    with lease as materialized (
      select 1 from leases
      where name = ${term.name} and holder = ${term.holder} and epoch = ${term.epoch} and expires_at > now()
      for share
    ), planned as materialized (
      select p.ordinal, d.object_id, d.dataset_index, d.tenant, d.skip_positions
      from lease, unnest(${sources.map((s) => s.ordinal)}::int[], ${sources.map((s) => s.objectId)}::text[],
        ${sources.map((s) => s.index)}::int[]) as p(ordinal, object_id, index)
      cross join lateral (
        select * from datasets d where d.object_id = p.object_id and d.dataset_index = p.index and d.is_live offset 0
      ) as d
    ), source as materialized (
      select p.ordinal, p.object_id, array_agg(distinct p.dataset_index order by p.dataset_index) as indexes,
        coalesce(array_agg(p.dataset_index order by p.dataset_index, k.position) filter (where k.position is not null),
          '{}') as skip_dataset,
        coalesce(array_agg(k.position order by p.dataset_index, k.position) filter (where k.position is not null),
          '{}') as skip_position
      from planned p left join lateral unnest(p.skip_positions) as k(position) on true
      group by p.ordinal, p.object_id
    ), owner as materialized (
      select ordinal, array_agg(distinct tenant order by tenant) as tenants from planned group by ordinal
    ), numbered as materialized (
      select p.ordinal, p.scope, p.level, p.size_bytes, p.delay_s, o.tenants, nextval('jobs_id_seq') as id
      from unnest(${jobs.map((_, i) => i)}::int[], ${jobs.map((j) => j.scope)}::text[],
        ${jobs.map((j) => j.level)}::int[], ${jobs.map((j) => j.sizeBytes)}::bigint[], ${jobs.map((_, i) => String(delaysSeconds[i]))}::text[]::float8[]
      ) as p(ordinal, scope, level, size_bytes, delay_s)
      join owner o on o.ordinal = p.ordinal
    ), generation as materialized (${newestGeneration(sql)}
    ), job as (
      insert into jobs (id, state, level, size_bytes, rank, tenants, tenant, arrival_tag, generation)
      select id, 'queued', level, size_bytes, extract(epoch from now()) + delay_s, tenants,
        case when cardinality(tenants) = 1 then tenants[1] else '' end, ${virtualNow(sql, { isSharded })}, newest
      from numbered cross join generation
      returning id
    ), job_source as (
      insert into job_sources (object_id, job_id, indexes, skip_dataset, skip_position, scope)
      select s.object_id, n.id, s.indexes, s.skip_dataset, s.skip_position, n.scope
      from source s join numbered n using (ordinal) order by s.object_id, n.scope
    )
    select id, pg_notify(${JOBS_CHANNEL}, '') from job`
  return rows.length
}
