/**
 * What waits to be compacted, by the level of the output: segments that no job holds, and open jobs by state.
 *
 * The live segments are those of the last seconds, read by their partial index, without the idle ones, of which nothing
 * may be planned; open jobs are at most as many as the queue holds. Parked jobs are counted apart: they wait for a person, not for a worker, so the age leaves them out.
 */
import type { LevelBacklog } from '#core/rpc/status.ts'
import type { SqlSession } from '../client.ts'

export interface Backlog {
  readonly nowMs: number
  readonly levels: LevelBacklog[]
  /** Arrival of the oldest live segment that may be planned and is in no parked job; 0 = none. */
  readonly oldestInputMs: number
}

interface WaitingRow {
  readonly now_ms: number
  readonly waiting: number
  readonly waiting_bytes: number
  readonly oldest_waiting_ms: number | null
  readonly oldest_input_ms: number | null
}

interface JobsRow {
  readonly level: number
  readonly state: 'queued' | 'running' | 'parked'
  readonly jobs: number
  readonly size_bytes: number
  readonly oldest_ms: number
}

const FIRST_LEVEL = 1

export async function selectBacklog(sql: SqlSession): Promise<Backlog> {
  const [waiting] = await sql<WaitingRow[]>`
    with live as materialized (
      select s.size_bytes, s.created_at, (
        select j.state from job_sources js join jobs j on j.id = js.job_id
        where js.object_id = s.object_id limit 1
      ) as state
      from segments s where s.is_live and not s.is_idle
    )
    select floor(extract(epoch from now()) * 1000)::float8 as now_ms,
      count(*) filter (where state is null)::int as waiting,
      coalesce(sum(size_bytes) filter (where state is null), 0)::float8 as waiting_bytes,
      floor(extract(epoch from min(created_at) filter (where state is null)) * 1000)::float8 as oldest_waiting_ms,
      floor(extract(epoch from min(created_at) filter (where state is distinct from 'parked')) * 1000)::float8
        as oldest_input_ms
    from live`
  const jobs = await sql<JobsRow[]>`
    select level, state, count(*)::int as jobs, sum(size_bytes)::float8 as size_bytes,
      floor(extract(epoch from min(created_at)) * 1000)::float8 as oldest_ms
    from jobs where state in ('queued', 'running', 'parked')
    group by level, state`
  return {
    nowMs: waiting?.now_ms ?? 0,
    levels: byLevel(waiting, jobs),
    oldestInputMs: waiting?.oldest_input_ms ?? 0,
  }
}

/** Ascending; level 1 is always there, so that an idle service shows a zero and not an empty table. */
function byLevel(waiting: WaitingRow | undefined, jobs: readonly JobsRow[]): LevelBacklog[] {
  const levels = [...new Set([FIRST_LEVEL, ...jobs.map(({ level }) => level)])].sort((a, b) => a - b)
  return levels.map((level) => {
    const of = (state: JobsRow['state']) => jobs.find((row) => row.level === level && row.state === state)
    const isFirst = level === FIRST_LEVEL
    const ages = [isFirst ? waiting?.oldest_waiting_ms : null, of('queued')?.oldest_ms, of('running')?.oldest_ms]
    const known = ages.filter((timeMs) => typeof timeMs === 'number')
    return {
      level,
      waiting: isFirst ? (waiting?.waiting ?? 0) : 0,
      waitingBytes: isFirst ? (waiting?.waiting_bytes ?? 0) : 0,
      queued: of('queued')?.jobs ?? 0,
      queuedBytes: of('queued')?.size_bytes ?? 0,
      running: of('running')?.jobs ?? 0,
      runningBytes: of('running')?.size_bytes ?? 0,
      parked: of('parked')?.jobs ?? 0,
      parkedBytes: of('parked')?.size_bytes ?? 0,
      oldestMs: known.length === 0 ? 0 : Math.min(...known),
    }
  })
}
