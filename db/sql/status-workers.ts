/** Who polls for jobs, with the jobs that each holds; gone ones for as long as the table keeps them. */
import type { WorkerStatus } from '#core/rpc/status.ts'
import type { SqlSession } from '../client.ts'

/** A fleet is tens; a page of 200 is still one that a person can search. */
const ROWS_MAX = 200

interface WorkerRow {
  readonly worker_id: string
  readonly address: string
  readonly version: string
  readonly threads: number
  readonly capacity: number
  readonly budget_bytes: number
  readonly used_bytes: number
  readonly first_seen_ms: number
  readonly seen_ms: number
  readonly expires_ms: number
  readonly is_alive: boolean
  readonly jobs: readonly string[]
}

export async function selectWorkers(sql: SqlSession): Promise<WorkerStatus[]> {
  const rows = await sql<WorkerRow[]>`
    select w.worker_id, w.address, w.version, w.threads, w.capacity, w.budget_bytes::float8, w.used_bytes::float8,
      floor(extract(epoch from w.first_seen_at) * 1000)::float8 as first_seen_ms,
      floor(extract(epoch from w.seen_at) * 1000)::float8 as seen_ms,
      floor(extract(epoch from w.expires_at) * 1000)::float8 as expires_ms,
      w.expires_at > now() as is_alive,
      array(select j.id::text from jobs j where j.state = 'running' and j.holder = w.worker_id order by j.id) as jobs
    from workers w order by w.worker_id limit ${ROWS_MAX}`
  return rows.map((row) => ({
    workerId: row.worker_id,
    address: row.address,
    version: row.version,
    threads: row.threads,
    capacity: row.capacity,
    budgetBytes: row.budget_bytes,
    usedBytes: row.used_bytes,
    registeredMs: row.first_seen_ms,
    lastSeenMs: row.seen_ms,
    expiresMs: row.expires_ms,
    isAlive: row.is_alive,
    runningJobs: [...row.jobs],
  }))
}
