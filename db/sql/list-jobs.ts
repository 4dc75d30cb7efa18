/** Jobs for people: a page of them, one of them, and why it failed. Read only. */
import type { JobFailureRecord, JobSummary } from '#core/rpc/jobs.ts'
import type { SqlSession } from '../client.ts'

export interface JobFilter {
  readonly states: readonly string[]
  /** Empty = all. */
  readonly tenant: string
  /** 0 = all. */
  readonly level: number
  /** Ids below it; undefined = from the newest on. */
  readonly beforeId: string | undefined
  readonly limit: number
}

interface Row {
  id: string
  state: string
  level: number
  tenants: string[]
  size_bytes: number
  source_count: number
  dataset_count: number
  failures: number
  epoch: number
  holder: string | null
  progress: number
  reason: string | null
  failure_kind: string | null
  parent_id: string | null
  created_ms: number
  not_before_ms: number
  started_ms: number | null
  expires_ms: number | null
  finished_ms: number | null
}

/** Newest first: ids grow, and a page goes on where the last one ended whatever happened meanwhile. */
export async function selectJobs(sql: SqlSession, filter: JobFilter): Promise<JobSummary[]> {
  const { states, tenant, level, beforeId, limit } = filter
  const rows = await sql<Row[]>`
    with page as materialized (
      select * from jobs
      where state = any(${states}::text[])
        ${tenant === '' ? sql`` : sql`and ${tenant}::text = any(tenants)`}
        ${level === 0 ? sql`` : sql`and level = ${level}`}
        ${beforeId === undefined ? sql`` : sql`and id < ${beforeId}::bigint`}
      order by id desc limit ${limit}
    )
    select ${jobColumns(sql)} from page j ${sourceCounts(sql)} order by j.id desc`
  return rows.map(toSummary)
}

export async function selectJob(sql: SqlSession, jobId: string): Promise<JobSummary | undefined> {
  const [row] = await sql<Row[]>`
    select ${jobColumns(sql)} from jobs j ${sourceCounts(sql)} where j.id = ${jobId}::bigint`
  return row === undefined ? undefined : toSummary(row)
}

export async function selectJobFailures(sql: SqlSession, jobId: string): Promise<JobFailureRecord[]> {
  const rows = await sql<
    { failed_ms: number; holder: string; epoch: number; kind: string; reason: string; is_inherited: boolean }[]
  >`
    select (extract(epoch from failed_at) * 1000)::float8 as failed_ms, holder, epoch, kind, reason, is_inherited
    from job_failures where job_id = ${jobId}::bigint order by id`
  return rows.map(({ failed_ms: failedMs, is_inherited: isInherited, ...rest }) => ({ failedMs, isInherited, ...rest }))
}

function jobColumns(sql: SqlSession) {
  return sql`j.id::text, j.state, j.level, j.tenants, j.size_bytes, c.source_count, c.dataset_count, j.failures, j.epoch,
    j.holder, j.progress, j.reason, j.failure_kind, j.parent_id::text,
    (extract(epoch from j.created_at) * 1000)::float8 as created_ms,
    (extract(epoch from j.not_before) * 1000)::float8 as not_before_ms,
    (extract(epoch from j.started_at) * 1000)::float8 as started_ms,
    (extract(epoch from j.expires_at) * 1000)::float8 as expires_ms,
    (extract(epoch from j.finished_at) * 1000)::float8 as finished_ms`
}

function sourceCounts(sql: SqlSession) {
  return sql`cross join lateral (
    select count(*)::int as source_count, coalesce(sum(cardinality(js.indexes)), 0)::int as dataset_count
    from job_sources js where js.job_id = j.id
  ) as c`
}

function toSummary(row: Row): JobSummary {
  return {
    jobId: row.id,
    state: row.state,
    level: row.level,
    tenants: row.tenants,
    sizeBytes: row.size_bytes,
    sourceCount: row.source_count,
    datasetCount: row.dataset_count,
    failures: row.failures,
    epoch: row.epoch,
    holder: row.holder ?? '',
    progress: row.progress,
    reason: row.reason ?? '',
    failureKind: row.failure_kind ?? '',
    parentId: row.parent_id ?? '',
    createdMs: Math.round(row.created_ms),
    notBeforeMs: Math.round(row.not_before_ms),
    startedMs: Math.round(row.started_ms ?? 0),
    expiresMs: Math.round(row.expires_ms ?? 0),
    finishedMs: Math.round(row.finished_ms ?? 0),
  }
}
