/**
 * Planned jobs enter the queue, if the planner still holds its lease: the row is locked in share mode, so that nobody
 * takes it over between this check and the commit, and nothing is written under an epoch that moved.
 *
 * What the job will be held to, live indexes and skip lists, is copied here from the rows of this snapshot. A source
 * that is in an open job already fails the whole statement by its key (23505): another planner was first.
 */
import type { SegmentJob } from '#core/compaction/plan.ts'
import type { SqlSession } from '../client.ts'
import type { LeaseTerm } from './leases.ts'

export const JOBS_CHANNEL = 'cinderblock_jobs'

/** Returns how many jobs were made: 0 also if the lease has moved. */
export async function insertJobs(
  sql: SqlSession,
  jobs: readonly SegmentJob[],
  options: { readonly term: LeaseTerm; readonly ageingBytesPerSecond: number },
): Promise<number> {
  const { term, ageingBytesPerSecond } = options
  const sources = jobs.flatMap((job, ordinal) => job.objectIds.map((objectId) => ({ ordinal, objectId })))
  const rows = await sql`
    with lease as materialized (
      select 1 from leases
      where name = ${term.name} and holder = ${term.holder} and epoch = ${term.epoch} and expires_at > now()
      for share
    ), source as materialized (
      select p.ordinal, s.object_id, s.skip_dataset, s.skip_position,
        array(select i from generate_series(0, length(s.live) - 1) as i where get_bit(s.live, i) = 1 order by i) as indexes
      from lease, unnest(${sources.map((s) => s.ordinal)}::int[], ${sources.map((s) => s.objectId)}::text[])
        as p(ordinal, object_id)
      join objects o on o.id = p.object_id
      join segments s on s.created_at = o.created_at and s.object_id = o.id
      where s.is_live
    ), numbered as materialized (
      select p.ordinal, p.level, p.size_bytes, nextval('jobs_id_seq') as id
      from unnest(${jobs.map((_, i) => i)}::int[], ${jobs.map((j) => j.level)}::int[], ${jobs.map((j) => j.sizeBytes)}::bigint[])
        as p(ordinal, level, size_bytes)
      where p.ordinal in (select ordinal from source)
    ), job as (
      insert into jobs (id, state, level, size_bytes, rank)
      select id, 'queued', level, size_bytes, extract(epoch from now()) + size_bytes / ${ageingBytesPerSecond}::float8
      from numbered
      returning id
    ), job_source as (
      insert into job_sources (object_id, job_id, indexes, skip_dataset, skip_position)
      select s.object_id, n.id, s.indexes, s.skip_dataset, s.skip_position
      from source s join numbered n using (ordinal) order by s.object_id
    )
    select id, pg_notify(${JOBS_CHANNEL}, '') from job`
  return rows.length
}
