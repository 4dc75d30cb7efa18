/**
 * What a claim chooses from: the first jobs of each flow (a level and a tenant), never the queue as a whole.
 *
 * 1. Levels, then tenants of a level, are found by skipping through the index jobs_by_flow: one probe each, however many
 *    jobs a flow has. Of a level with more tenants than FLOWS_MAX those after the cursor are taken, then from the start.
 * 2. Of each flow the first jobs by rank whose wait is over, fewer the more flows there are, and the job taken last. A
 *    job that waits after a failure has a rank of the time when its wait ends: of a flow whose first WAITING_MAX all wait
 *    nothing is taken until the first of them may, a minute at most. So an outage that fails all jobs costs no claim more.
 * 3. What runs, who works and which tenants are switched, in the same snapshot.
 */
import type { QueuedFlow, QueuedJob, RunningFlow } from '#core/compaction/claim-order.ts'
import type { SqlSession } from '../client.ts'

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

export async function selectClaimCandidates(
  sql: SqlSession,
  request: { readonly jobsPerFlow: number; readonly cursor: string },
): Promise<ClaimCandidates> {
  const { jobsPerFlow, cursor } = request
  const rows = await sql<CandidateRow[]>`
    with recursive level as (
      (select level from jobs where state = 'queued' order by level limit 1)
      union all
      select (select j.level from jobs j where j.state = 'queued' and j.level > l.level order by j.level limit 1)
      from level l where l.level is not null
    ), step as (
      select l.level, 0 as phase, 1 as n, (
        select j.tenant from jobs j where j.state = 'queued' and j.level = l.level and j.tenant > ${cursor}::text
        order by j.tenant limit 1) as tenant
      from level l where l.level is not null
      union all
      select s.level, s.phase, s.n + 1, (
        select j.tenant from jobs j where j.state = 'queued' and j.level = s.level and j.tenant > s.tenant
        order by j.tenant limit 1)
      from step s where s.tenant is not null and s.n < ${FLOWS_MAX}
    ), wrap as (
      select l.level, 1 as phase, 1 as n, (
        select j.tenant from jobs j where j.state = 'queued' and j.level = l.level order by j.tenant limit 1) as tenant
      from level l where l.level is not null
      union all
      select s.level, s.phase, s.n + 1, (
        select j.tenant from jobs j where j.state = 'queued' and j.level = s.level and j.tenant > s.tenant
        order by j.tenant limit 1)
      from wrap s where s.tenant <= ${cursor}::text and s.n < ${FLOWS_MAX}
    ), flow as materialized (
      select level, tenant from (
        select level, tenant, row_number() over (partition by level order by phase, n) as nth from (
          select * from step union all select * from wrap where tenant <= ${cursor}::text
        ) as each where tenant is not null
      ) as numbered where nth <= ${FLOWS_MAX}
    )
    select f.level, f.tenant, last.tag, coalesce(last.size_bytes, 0) as tag_bytes, j.id::text, j.size_bytes,
      j.arrival_tag
    from flow f
    cross join lateral (
      select q.id, q.size_bytes, q.arrival_tag, q.rank from (
        select * from jobs q where q.state = 'queued' and q.level = f.level and q.tenant = f.tenant
        order by q.rank limit ${WAITING_MAX + jobsPerFlow}
      ) as q
      where q.not_before <= now()
      order by q.rank
      limit (select least(${jobsPerFlow}::bigint, greatest(2, ${JOBS_MAX}::bigint / count(*))) from flow)
    ) as j
    left join lateral (
      select t.tag, t.size_bytes from jobs t where t.level = f.level and t.tenant = f.tenant and t.tag is not null
      order by t.tag desc limit 1
    ) as last on true
    order by f.level, f.tenant, j.rank, j.id`
  if (rows.length === 0) return { flows: [], running: [], workerIds: [], switched: [] }
  const [state] = await sql<Pick<ClaimCandidates, 'running' | 'workerIds' | 'switched'>[]>`
    select
      (select coalesce(json_agg(json_build_object('level', r.level, 'tenant', r.tenant, 'count', r.n)), '[]')
        from (select level, tenant, count(*) as n from jobs where state = 'running' group by level, tenant) as r
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
  readonly id: string
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
    flow.jobs.push({ jobId: id, sizeBytes, arrivalTag })
  }
  return flows
}
