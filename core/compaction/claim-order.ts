/**
 * Who is served next: fair queueing between flows. A flow is the jobs of one tenant and level; jobs of several tenants
 * are a flow of their own (tenant ''). Pure: what waits, what runs and the policy in, the jobs to take out.
 *
 * 1. Every job taken moves its flow forward in virtual time by its cost: its bytes and a share for being a job at all. The
 *    flow whose next job would end first goes first. So small jobs come first, a tenant with a thousand jobs gets no more
 *    than one with ten, and a large job comes when all others have got as much as it asks for.
 * 2. A flow that was idle begins where the queue stood when its job came: it neither saves up turns nor waits for others'
 *    past, and it keeps its place while others go on (else a large job would see its end move away with every small one).
 *    Both tags of a job are kept in the table: where the queue stood, and where the job began.
 * 3. First compaction costs an eighth of what all other flows cost together, so that it has 8 of 9 turns when both wait,
 *    however many tenants have closed hours to merge; these still have one.
 * 4. Not taken are jobs of tenants that are switched off, whose shard this worker is not in, or whose tenant or level
 *    has as many running as the policy allows.
 */
import { MIB } from '../units.ts'
import { FIRST_LEVEL } from './policy.ts'
import { isInShard } from './tenant-shards.ts'
import { type CompactedTenants, isCompacted } from './tenant-switch.ts'

export interface QueuedJob {
  readonly jobId: string
  readonly sizeBytes: number
  /** Where the newest of what ran began, when it came. */
  readonly arrivalTag: number
}

export interface QueuedFlow {
  readonly level: number
  readonly tenant: string
  /** Of the job that was taken last; undefined if there is none. */
  readonly last: { readonly tag: number; readonly sizeBytes: number } | undefined
  /** The first by rank; none if all wait after failures. */
  readonly jobs: readonly QueuedJob[]
}

export interface RunningFlow {
  readonly level: number
  readonly tenant: string
  readonly count: number
}

export interface ClaimPolicy {
  /** Jobs of one tenant that run at once, jobs of several tenants aside; 0 = any number. */
  readonly runningPerTenantMax: number
  /** By level of the output; a level that is not named may run any number. */
  readonly runningPerLevelMax: Readonly<Record<number, number>>
  /** Workers of a tenant; 0 = all. */
  readonly tenantShardSize: number
}

export interface ClaimState {
  readonly flows: readonly QueuedFlow[]
  readonly running: readonly RunningFlow[]
  /** Who polled lately, the worker that asks included. */
  readonly workerIds: readonly string[]
  readonly tenants: CompactedTenants
}

export interface ChosenJob {
  readonly jobId: string
  readonly level: number
  readonly tenant: string
  readonly tag: number
}

/** Opening sources and writing outputs takes about as long as merging this much. */
const JOB_COST_BYTES = MIB / 4
const FIRST_LEVEL_SHARE = 8

/** Of which this worker may take a job now. */
export function takeableFlows(state: ClaimState, policy: ClaimPolicy, workerId: string): QueuedFlow[] {
  const caps = new RunningCaps(state.running, policy)
  return workersFlows(state, policy, workerId).filter((flow) => flow.jobs.length > 0 && caps.admits(flow))
}

/** Of tenants that are compacted and whose shard the worker is in. */
function workersFlows(state: ClaimState, policy: ClaimPolicy, workerId: string): QueuedFlow[] {
  const shard = { workerIds: state.workerIds, size: policy.tenantShardSize }
  return state.flows.filter(
    ({ tenant }) => tenant === '' || (isCompacted(tenant, state.tenants) && isInShard(tenant, workerId, shard)),
  )
}

export function chooseJobs(
  state: ClaimState,
  policy: ClaimPolicy,
  request: { readonly workerId: string; readonly limit: number },
): ChosenJob[] {
  const flows = workersFlows(state, policy, request.workerId)
  const costOf = costs(flows)
  const caps = new RunningCaps(state.running, policy)
  const open = flows.map((flow) => {
    const { last } = flow
    return { flow, at: 0, endTag: last === undefined ? 0 : last.tag + costOf(flow.level, last.sizeBytes) }
  })
  const chosen: ChosenJob[] = []
  while (chosen.length < request.limit) {
    let next: (typeof open)[number] | undefined
    let nextEnd = Number.POSITIVE_INFINITY
    for (const each of open) {
      const job = each.flow.jobs[each.at]
      if (job === undefined || !caps.admits(each.flow)) continue
      const end = Math.max(each.endTag, job.arrivalTag) + costOf(each.flow.level, job.sizeBytes)
      if (end >= nextEnd) continue
      next = each
      nextEnd = end
    }
    if (next === undefined) break
    const { flow, at, endTag } = next
    const { jobId, arrivalTag } = flow.jobs[at]!
    chosen.push({ jobId, level: flow.level, tenant: flow.tenant, tag: Math.max(endTag, arrivalTag) })
    caps.add(flow, 1)
    next.at++
    next.endTag = nextEnd
  }
  return chosen
}

function costs(flows: readonly QueuedFlow[]): (level: number, sizeBytes: number) => number {
  const others = flows.filter(({ level, jobs }) => level > FIRST_LEVEL && jobs.length > 0).length
  const share = FIRST_LEVEL_SHARE * Math.max(1, others)
  return (level, sizeBytes) => (sizeBytes + JOB_COST_BYTES) / (level <= FIRST_LEVEL ? share : 1)
}

class RunningCaps {
  readonly #policy: ClaimPolicy
  readonly #byTenant = new Map<string, number>()
  readonly #byLevel = new Map<number, number>()

  constructor(running: readonly RunningFlow[], policy: ClaimPolicy) {
    this.#policy = policy
    for (const flow of running) this.add(flow, flow.count)
  }

  add({ level, tenant }: { readonly level: number; readonly tenant: string }, count: number): void {
    this.#byTenant.set(tenant, (this.#byTenant.get(tenant) ?? 0) + count)
    this.#byLevel.set(level, (this.#byLevel.get(level) ?? 0) + count)
  }

  admits({ level, tenant }: { readonly level: number; readonly tenant: string }): boolean {
    const { runningPerTenantMax, runningPerLevelMax } = this.#policy
    const levelMax = runningPerLevelMax[level] ?? Number.POSITIVE_INFINITY
    if ((this.#byLevel.get(level) ?? 0) >= levelMax) return false
    if (tenant === '' || runningPerTenantMax === 0) return true
    return (this.#byTenant.get(tenant) ?? 0) < runningPerTenantMax
  }
}
