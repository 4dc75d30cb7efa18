/**
 * Chosen jobs are taken, many in one statement, each with a new fencing epoch.
 *
 * More are named than are wanted: `for update skip locked` passes over those that another worker is taking or has taken,
 * and goes on until there are enough. Ten per call carries 15,000 jobs/s where one per call carries 3,100.
 * Their datasets are a statement of its own, before the claim: a loop that is busy answers each statement late, and a job
 * that is claimed should run.
 */
import type { ChosenJob } from '#core/compaction/claim-order.ts'
import type { CompactionJob } from '#core/rpc/metastore.ts'
import type { SqlSession } from '../client.ts'
import { datasetColumns, groupBySource, segmentColumns, unpackedDatasets, type DatasetRow } from './source-rows.ts'

export interface ClaimRequest {
  readonly workerId: string
  readonly capacity: number
  readonly leaseMs: number
}

/** In the order in which they are named. */
export async function claimJobs(
  sql: SqlSession,
  chosen: readonly ChosenJob[],
  request: ClaimRequest,
): Promise<CompactionJob[]> {
  const { workerId, capacity, leaseMs } = request
  // What a job holds does not change while it is open, so it is read before the job's time begins.
  const ahead = chosen.slice(0, capacity).map(({ jobId }) => jobId)
  const rows = await selectSources(sql, ahead)
  const claimed = await sql<{ id: string; epoch: number; level: number; n: number }[]>`
    with picked as materialized (
      select j.id, c.tag, c.n
      from unnest(${chosen.map(({ jobId }) => jobId)}::text[], ${chosen.map(({ tag }) => String(tag))}::text[])
        with ordinality as c(id, tag, n)
      join jobs j on j.id = c.id::bigint
      where j.state = 'queued'
      order by c.n limit ${capacity} for update of j skip locked
    )
    update jobs j set state = 'running', epoch = j.epoch + 1, holder = ${workerId}, tag = picked.tag::float8,
      started_at = now(), progress = 0, expires_at = now() + ${leaseMs}::float8 * interval '1 millisecond'
    from picked where j.id = picked.id
    returning j.id::text, j.epoch, j.level, picked.n`
  if (claimed.length === 0) return []
  const others = claimed.map(({ id }) => id).filter((id) => !ahead.includes(id))
  if (others.length > 0) rows.push(...(await selectSources(sql, others)))
  return [...claimed]
    .sort((a, b) => a.n - b.n)
    .map((job) => ({
      jobId: job.id,
      epoch: job.epoch,
      leaseMs,
      level: job.level,
      sources: groupBySource(rows.filter((row) => row.job_id === job.id)),
    }))
}

/**
 * The datasets that each job was planned with.
 * `offset 0` keeps the lookup per source: job_sources is small and never has fresh statistics, and Postgres 18 would
 * rather walk through every partition of datasets to hash them. A segment that was unpacked has its datasets there.
 */
export async function selectSources(sql: SqlSession, jobIds: string[]): Promise<(DatasetRow & { job_id: string })[]> {
  return await sql<(DatasetRow & { job_id: string })[]>`
    select js.job_id::text, ${segmentColumns(sql)}
    from job_sources js
    join objects o on o.id = js.object_id
    join segments s on s.created_at = o.created_at and s.object_id = o.id and s.is_live
    cross join lateral ${unpackedDatasets(sql)}
    where js.job_id = any(${jobIds}::bigint[]) and (d.n - 1)::int = any(js.indexes)
    union all
    select js.job_id::text, ${datasetColumns(sql)}
    from job_sources js cross join lateral (
      select * from datasets d where d.object_id = js.object_id and d.dataset_index = any(js.indexes) offset 0
    ) as d
    where js.job_id = any(${jobIds}::bigint[])`
}
