/**
 * A job becomes several: each part takes its datasets and skip lists from the sources of the job, under a scope of its
 * own, and a copy of the failures. The job itself is closed as one that published nothing. One statement, in the
 * transaction that holds the job's row.
 */
import type { JobPart } from '#core/compaction/after-failure.ts'
import type { SqlSession } from '../client.ts'
import { JOBS_CHANNEL } from './insert-jobs.ts'
import { newestGeneration } from './queue-generations.ts'

export interface SplitJob {
  readonly jobId: string
  readonly kind: string
  readonly reason: string
  readonly ageingBytesPerSecond: number
  readonly parts: readonly JobPart[]
}

/** Ids of the parts, in their order. */
export async function splitJob(sql: SqlSession, split: SplitJob): Promise<string[]> {
  const { jobId, kind, reason, parts, ageingBytesPerSecond } = split
  const held = parts.flatMap(({ datasets }, ordinal) =>
    datasets.map(({ objectId, index, tenant }) => ({ ordinal, objectId, index, tenant })),
  )
  const sizes = parts.map(({ datasets }) => datasets.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0))
  const rows = await sql<{ id: number; ordinal: number }[]>`
    with held as materialized (
      select * from unnest(${held.map((h) => h.ordinal)}::int[], ${held.map((h) => h.objectId)}::text[],
        ${held.map((h) => h.index)}::int[], ${held.map((h) => h.tenant)}::text[]) as h(ordinal, object_id, index, tenant)
    ), source as materialized (
      select ordinal, object_id, array_agg(index order by index) as indexes from held group by ordinal, object_id
    ), owner as materialized (
      select ordinal, array_agg(distinct tenant order by tenant) as tenants from held group by ordinal
    ), part as materialized (
      select p.*, o.tenants, nextval('jobs_id_seq') as id
      from unnest(${parts.map((_, i) => i)}::int[], ${sizes}::bigint[], ${parts.map((p) => p.failures)}::int[],
        ${parts.map((p) => Math.round(p.delayMs))}::int[], ${parts.map((p) => (p.isParked ? 1 : 0))}::int[]
      ) as p(ordinal, size_bytes, failures, delay_ms, is_parked)
      join owner o on o.ordinal = p.ordinal
    ), generation as materialized (${newestGeneration(sql)}
    ), child as (
      insert into jobs (id, state, level, size_bytes, rank, failures, not_before, tenants, tenant, parent_id, reason,
        failure_kind, arrival_tag, generation)
      select p.id, case p.is_parked when 1 then 'parked' else 'queued' end, j.level, p.size_bytes,
        extract(epoch from now()) + p.size_bytes / ${ageingBytesPerSecond}::float8 + p.delay_ms / 1000.0, p.failures,
        now() + p.delay_ms * interval '1 millisecond', p.tenants,
        case when cardinality(p.tenants) = 1 then p.tenants[1] else '' end, j.id,
        case when p.failures > 0 then ${reason}::text end, case when p.failures > 0 then ${kind}::text end, j.arrival_tag, newest
      from jobs j cross join part p cross join generation where j.id = ${jobId}::bigint
    ), freed as (
      delete from job_sources where job_id = ${jobId}::bigint
    ), child_source as (
      insert into job_sources (object_id, job_id, scope, indexes, skip_dataset, skip_position)
      select js.object_id, p.id, '#' || p.id, s.indexes,
        array(select k.d from unnest(js.skip_dataset, js.skip_position) as k(d, n) where k.d = any(s.indexes) order by k.d, k.n),
        array(select k.n from unnest(js.skip_dataset, js.skip_position) as k(d, n) where k.d = any(s.indexes) order by k.d, k.n)
      from source s join part p using (ordinal)
      join job_sources js on js.object_id = s.object_id and js.job_id = ${jobId}::bigint
      order by js.object_id, p.id
    ), history as (
      insert into job_failures (job_id, failed_at, holder, epoch, kind, reason, is_inherited)
      select p.id, f.failed_at, f.holder, f.epoch, f.kind, f.reason, true
      from part p cross join job_failures f where f.job_id = ${jobId}::bigint order by p.id, f.id
    ), closed as (
      update jobs set state = 'stale', holder = null, expires_at = null, finished_at = now(), progress = 0,
        failure_kind = ${kind}, reason = ${`split into ${parts.length} jobs: `}::text || ${reason}::text
      where id = ${jobId}::bigint
    )
    select id, ordinal, pg_notify(${JOBS_CHANNEL}, '') from part order by ordinal`
  return rows.map((row) => String(row.id))
}
