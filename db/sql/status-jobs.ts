/** Jobs for people: those that run, oldest first, and those that are parked, newest first. Both lists are bounded. */
import type { ParkedJobStatus, RunningJobStatus } from '#core/rpc/status.ts'
import type { SqlSession } from '../client.ts'

export interface StatusJobs {
  readonly running: RunningJobStatus[]
  readonly runningTotal: number
  readonly parked: ParkedJobStatus[]
  readonly parkedTotal: number
}

interface JobRow {
  readonly id: string
  readonly level: number
  readonly holder: string | null
  readonly epoch: number
  readonly expires_ms: number | null
  readonly created_ms: number
  readonly size_bytes: number
  readonly failures: number
  readonly reason: string | null
  readonly tenant: string
  readonly progress: number
  readonly started_ms: number | null
  readonly sources: number
  readonly total: number
}

/** A page of each: more is what `cinder jobs list` is for. */
export const STATUS_JOBS_MAX = 100

export async function selectStatusJobs(sql: SqlSession): Promise<StatusJobs> {
  const running = await selectJobs(sql, 'running')
  const parked = await selectJobs(sql, 'parked')
  return {
    running: running.map((row) => ({
      jobId: row.id,
      level: row.level,
      holder: row.holder ?? '',
      epoch: row.epoch,
      expiresMs: row.expires_ms ?? 0,
      createdMs: row.created_ms,
      startedMs: row.started_ms ?? 0,
      sources: row.sources,
      sizeBytes: row.size_bytes,
      failures: row.failures,
      progress: row.progress,
    })),
    runningTotal: running[0]?.total ?? 0,
    parked: parked.map((row) => ({
      jobId: row.id,
      level: row.level,
      sources: row.sources,
      sizeBytes: row.size_bytes,
      failures: row.failures,
      createdMs: row.created_ms,
      tenant: row.tenant,
      reason: row.reason ?? '',
    })),
    parkedTotal: parked[0]?.total ?? 0,
  }
}

async function selectJobs(sql: SqlSession, state: 'running' | 'parked'): Promise<JobRow[]> {
  return await sql<JobRow[]>`
    with page as materialized (
      select id, level, holder, epoch, expires_at, created_at, started_at, size_bytes, failures, reason,
        tenant, progress,        count(*) over () as total
      from jobs where state = ${state}
      order by case when ${state} = 'parked' then -id else id end limit ${STATUS_JOBS_MAX}
    )
    select p.id::text, p.level, p.holder, p.epoch, p.size_bytes::float8, p.failures, p.reason, p.total::int,
      p.tenant, p.progress::float8,
      floor(extract(epoch from p.started_at) * 1000)::float8 as started_ms,
      floor(extract(epoch from p.expires_at) * 1000)::float8 as expires_ms,
      floor(extract(epoch from p.created_at) * 1000)::float8 as created_ms,
      (select count(*) from job_sources js where js.job_id = p.id)::int as sources
    from page p order by case when ${state} = 'parked' then -p.id else p.id end`
}
