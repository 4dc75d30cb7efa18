/**
 * Planned jobs enter the queue, if the planner still holds its lease: the row is locked in share mode, so that nobody
 * takes it over between this check and the commit, and nothing is written under an epoch that moved.
 *
 * What the job will be held to, the datasets that may be planned and their skip lists, is copied here from the rows of
 * this snapshot. A source of which nothing may be planned any more is left out; a job without sources is not made. Two
 * open jobs never hold one dataset, so its first dataset is the scope of a source: should two planners disagree all the
 * same, the key (object, scope) fails the later statement as a whole (23505).
 */
import type { SegmentJob } from '#core/compaction/plan.ts'
import type { CompactedTenants } from '#core/compaction/tenant-switch.ts'
import type { SqlSession } from '../client.ts'
import type { LeaseTerm } from './leases.ts'
import { ALL_TENANTS, plannableDatasets } from './plannable-datasets.ts'
import { newestGeneration } from './queue-generations.ts'
import { virtualNow } from './virtual-now.ts'

export const JOBS_CHANNEL = 'cinderblock_jobs'

/** Returns how many jobs were made: 0 also if the lease has moved. */
export async function insertJobs(
  sql: SqlSession,
  jobs: readonly SegmentJob[],
  options: {
    readonly term: LeaseTerm
    readonly ageingBytesPerSecond: number
    readonly tenants?: CompactedTenants
    readonly isSharded?: boolean
  },
): Promise<number> {
  const { term, ageingBytesPerSecond, tenants = ALL_TENANTS, isSharded = false } = options
  const sources = jobs.flatMap((job, ordinal) => job.objectIds.map((objectId) => ({ ordinal, objectId })))
  const rows = await sql`
    with lease as materialized (
      select 1 from leases
      where name = ${term.name} and holder = ${term.holder} and epoch = ${term.epoch} and expires_at > now()
      for share
    ), source as materialized (
      select p.ordinal, s.object_id, s.skip_dataset, s.skip_position, w.indexes, w.tenants
      from lease, unnest(${sources.map((s) => s.ordinal)}::int[], ${sources.map((s) => s.objectId)}::text[])
        as p(ordinal, object_id)
      join objects o on o.id = p.object_id
      join segments s on s.created_at = o.created_at and s.object_id = o.id
      cross join lateral (${plannableDatasets(sql, tenants)}) as w
      where s.is_live and cardinality(w.indexes) > 0
    ), owner as materialized (
      select s.ordinal, array_agg(distinct t.tenant order by t.tenant) as tenants
      from source s cross join lateral unnest(s.tenants) as t(tenant) group by s.ordinal
    ), numbered as materialized (
      select p.ordinal, p.level, p.size_bytes, o.tenants, nextval('jobs_id_seq') as id
      from unnest(${jobs.map((_, i) => i)}::int[], ${jobs.map((j) => j.level)}::int[], ${jobs.map((j) => j.sizeBytes)}::bigint[])
        as p(ordinal, level, size_bytes)
      join owner o on o.ordinal = p.ordinal
    ), generation as materialized (${newestGeneration(sql)}
    ), job as (
      insert into jobs (id, state, level, size_bytes, rank, tenants, tenant, arrival_tag, generation)
      select id, 'queued', level, size_bytes, extract(epoch from now()) + size_bytes / ${ageingBytesPerSecond}::float8,
        tenants, case when cardinality(tenants) = 1 then tenants[1] else '' end, ${virtualNow(sql, { isSharded })}, newest
      from numbered cross join generation
      returning id
    ), job_source as (
      insert into job_sources (object_id, job_id, scope, indexes, skip_dataset, skip_position)
      select s.object_id, n.id, s.indexes[1]::text, s.indexes,
        array(select k.d from unnest(s.skip_dataset, s.skip_position) as k(d, n) where k.d = any(s.indexes) order by k.d, k.n),
        array(select k.n from unnest(s.skip_dataset, s.skip_position) as k(d, n) where k.d = any(s.indexes) order by k.d, k.n)
      from source s join numbered n using (ordinal) order by s.object_id
    )
    select id, pg_notify(${JOBS_CHANNEL}, '') from job`
  return rows.length
}
