/**
 * What a claim chooses from: the first jobs of each flow (a level and a tenant), never the queue as a whole.
 *
 * 1. Generations, levels, then tenants of a level, are found by skipping through the index jobs_claimable: one probe each,
 *    however many jobs a flow has. Of a level with more tenants than FLOWS_MAX those after its cursor are taken, then from
 *    the start. Generations are one and that of older programs, two while the queue turns (queue-generations.ts); a flow
 *    has its jobs of all of them.
 * 2. Of each flow the first jobs by rank whose wait is over, fewer the more flows there are, and the job taken last. A
 *    job that waits after a failure has a rank of the time when its wait ends: of a flow whose first WAITING_MAX all wait
 *    nothing is taken until the first of them may, a minute at most. So an outage that fails all jobs costs no claim more.
 *    Such a flow comes without jobs: who goes on behind what was looked at must know of it.
 * 3. What runs, who works and which tenants are switched, in the same snapshot.
 */
import type { QueuedFlow, QueuedJob, RunningFlow } from '#core/compaction/claim-order.ts'
import type { SqlSession } from '../client.ts'
import { liveGenerations } from './queue-generations.ts'

/** A probe takes about 10 us: all seven levels full cost 10 ms. */
export const FLOWS_MAX = 64
/** Looked at in one flow, beside those that are taken. */
const WAITING_MAX = 64
/** Over all flows: a claim takes 32 at most. */
const JOBS_MAX = 512
const WORKERS_MAX = 1_000
const SWITCHES_MAX = 10_000

export interface ClaimCandidates {
  readonly flows: QueuedFlow[]
  readonly running: RunningFlow[]
  readonly workerIds: string[]
  readonly switched: { tenant: string; isEnabled: boolean }[]
}

export interface CandidateRequest {
  readonly jobsPerFlow: number
  /** The tenant after which to go on, by level; a level that is not in it begins at its first. */
  readonly cursors: ReadonlyMap<number, string>
}

export async function selectClaimCandidates(sql: SqlSession, request: CandidateRequest): Promise<ClaimCandidates> {
  const { jobsPerFlow, cursors } = request
  const rows = await sql<CandidateRow[]>`
    with recursive generation as materialized (
      select g from unnest(${liveGenerations(sql)}) as g
    ), cursor as materialized (
      select * from unnest(${[...cursors.keys()]}::int[], ${[...cursors.values()]}::text[]) as c(level, tenant)
    ), found as (
      select g, (
        select j.level from jobs j where j.state = 'queued' and j.generation = g order by j.level limit 1) as level
      from generation
      union all
      select l.g, (
        select j.level from jobs j where j.state = 'queued' and j.generation = l.g and j.level > l.level
        order by j.level limit 1)
      from found l where l.level is not null
    ), level as materialized (
      select l.g, l.level, coalesce((select c.tenant from cursor c where c.level = l.level), '') collate "C" as after
      from found l where l.level is not null
    ), step as (
      select l.g, l.level, 1 as n, (
        select j.tenant from jobs j
        where j.state = 'queued' and j.generation = l.g and j.level = l.level and j.tenant > l.after
        order by j.tenant limit 1) as tenant
      from level l
      union all
      select s.g, s.level, s.n + 1, (
        select j.tenant from jobs j
        where j.state = 'queued' and j.generation = s.g and j.level = s.level and j.tenant > s.tenant
        order by j.tenant limit 1)
      from step s where s.tenant is not null and s.n < ${FLOWS_MAX}
    ), wrap as (
      select l.g, l.level, l.after, 1 as n, (
        select j.tenant from jobs j where j.state = 'queued' and j.generation = l.g and j.level = l.level
        order by j.tenant limit 1) as tenant
      from level l
      union all
      select s.g, s.level, s.after, s.n + 1, (
        select j.tenant from jobs j
        where j.state = 'queued' and j.generation = s.g and j.level = s.level and j.tenant > s.tenant
        order by j.tenant limit 1)
      from wrap s where s.tenant <= s.after and s.n < ${FLOWS_MAX}
    ), flow as materialized (
      select level, tenant from (
        select level, tenant, row_number() over (partition by level order by phase, tenant) as nth from (
          select level, tenant, 0 as phase from step where tenant is not null
          union select level, tenant, 1 as phase from wrap where tenant <= after
        ) as each
      ) as numbered where nth <= ${FLOWS_MAX}
    ), share as materialized (
      select least(${jobsPerFlow}::bigint, greatest(2, ${JOBS_MAX}::bigint / count(*))) as n from flow having count(*) > 0
    )
    select f.level, f.tenant, last.tag, coalesce(last.size_bytes, 0) as tag_bytes, j.id::text, j.size_bytes,
      j.arrival_tag
    from flow f
    left join lateral (
      select each.* from generation cross join lateral (
        select q.id, q.size_bytes, q.arrival_tag, q.rank from (
          select * from jobs q
          where q.state = 'queued' and q.generation = g and q.level = f.level and q.tenant = f.tenant
          order by q.rank limit ${WAITING_MAX + jobsPerFlow}
        ) as q
        where q.not_before <= now()
        order by q.rank limit (select n from share)
      ) as each
      order by each.rank limit (select n from share)
    ) as j on true
    left join lateral (
      select t.tag, t.size_bytes from jobs t where t.level = f.level and t.tenant = f.tenant and t.tag is not null
      order by t.tag desc limit 1
    ) as last on true
    order by f.level, f.tenant, j.rank, j.id`
  if (rows.length === 0) return { flows: [], running: [], workerIds: [], switched: [] }
  const [state] = await sql<Pick<ClaimCandidates, 'running' | 'workerIds' | 'switched'>[]>`
    select
      (select coalesce(json_agg(json_build_object('level', r.level, 'tenant', r.tenant, 'count', r.n)), '[]')
        from (
          select level, tenant, count(*) as n from jobs
          where state = 'running' and generation = any(${liveGenerations(sql)}) group by level, tenant) as r
      ) as "running",
      (select coalesce(json_agg(w.worker_id), '[]')
        from (select worker_id from workers where expires_at > now() order by worker_id limit ${WORKERS_MAX}) as w
      ) as "workerIds",
      (select coalesce(json_agg(json_build_object('tenant', t.tenant, 'isEnabled', t.is_enabled)), '[]')
        from (select tenant, is_enabled from compaction_tenants order by tenant limit ${SWITCHES_MAX}) as t
      ) as "switched"`
  return { flows: groupFlows(rows), ...state! }
}

interface CandidateRow {
  readonly level: number
  readonly tenant: string
  readonly tag: number | null
  readonly tag_bytes: number
  /** Null of a flow whose jobs all wait, and so are the next two. */
  readonly id: string | null
  readonly size_bytes: number
  readonly arrival_tag: number
}

/** Rows come flow by flow. */
function groupFlows(rows: readonly CandidateRow[]): QueuedFlow[] {
  const flows: (QueuedFlow & { jobs: QueuedJob[] })[] = []
  for (const row of rows) {
    const { level, tenant, tag, id, arrival_tag: arrivalTag, size_bytes: sizeBytes } = row
    let flow = flows.at(-1)
    if (flow?.level !== level || flow.tenant !== tenant) {
      flow = { level, tenant, last: tag === null ? undefined : { tag, sizeBytes: row.tag_bytes }, jobs: [] }
      flows.push(flow)
    }
    if (id !== null) flow.jobs.push({ jobId: id, sizeBytes, arrivalTag })
  }
  return flows
}
