/** Duties with runs, for people. Who may run one is the lease of its name (status-leases.ts). */
import type { DutyStatus } from '#core/rpc/status.ts'
import type { SqlSession } from '../client.ts'

/** Twice what one process may have. */
const ROWS_MAX = 32

interface DutyRow {
  readonly name: string
  readonly holder: string
  readonly is_running: boolean
  readonly started_ms: number
  readonly finished_ms: number
  readonly due_ms: number
  readonly failures: number
  readonly last_error: string
  readonly last_error_ms: number
}

/** A beginning counts as a failure until its end, so of one that runs the count before it is shown. */
export async function selectDutyStatus(sql: SqlSession): Promise<DutyStatus[]> {
  const rows = await sql<DutyRow[]>`
    with states as (
      select d.*, coalesce(l.expires_at > now() and l.holder = d.holder and l.epoch = d.epoch, false)
        and (d.finished_at is null or d.finished_at < d.started_at) as is_running
      from duties d left join leases l on l.name = d.name
    )
    select name, holder, is_running, floor(extract(epoch from started_at) * 1000)::float8 as started_ms,
      coalesce(floor(extract(epoch from finished_at) * 1000), 0)::float8 as finished_ms,
      floor(extract(epoch from due_at) * 1000)::float8 as due_ms,
      greatest(failures - case when is_running then 1 else 0 end, 0) as failures,
      coalesce(last_error, '') as last_error,
      coalesce(floor(extract(epoch from last_error_at) * 1000), 0)::float8 as last_error_ms
    from states order by name limit ${ROWS_MAX}`
  return rows.map((row) => ({
    name: row.name,
    holder: row.holder,
    isRunning: row.is_running,
    startedMs: row.started_ms,
    finishedMs: row.finished_ms,
    nextDueMs: row.due_ms,
    failures: row.failures,
    lastError: row.last_error,
    lastErrorMs: row.last_error_ms,
  }))
}
