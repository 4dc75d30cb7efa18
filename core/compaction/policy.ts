/** Compaction policies: data that planning and the job queue read. Every figure carries its reason. */
import type { FailurePolicy } from './after-failure.ts'
import type { ClaimPolicy } from './claim-order.ts'
import type { JobOrder } from './job-order.ts'
import type { TenantSwitches } from './tenant-switch.ts'
import { MIB, MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND } from '../units.ts'

export interface SegmentCompactionPolicy {
  /** Waiting segments are compacted once there are this many … */
  readonly triggerCount: number
  /** … or they hold this many bytes … */
  readonly triggerBytes: number
  /** … or the oldest has waited this long, although nothing more arrives. */
  readonly triggerAgeMs: number
  /** Caps of one job. A single segment above `jobBytesMax` is a job of its own. */
  readonly jobSegmentsMax: number
  readonly jobBytesMax: number
}

export const SEGMENT_COMPACTION_POLICY: SegmentCompactionPolicy = {
  // 20, as the seeds do: a merge of 20 pays for its output's PUT with 20 fewer objects a query opens.
  triggerCount: 20,
  triggerBytes: 8 * MIB,
  // 2 s of waiting plus a job of about a second keeps the median age at first compaction below 5 s.
  triggerAgeMs: 2 * MS_PER_SECOND,
  jobSegmentsMax: 32,
  // 32 MiB of inputs decode to about 250 MiB, the memory budget of one worker thread.
  jobBytesMax: 32 * MIB,
}

/** A job that failed `failuresMax` times is parked: visible, retryable, never evicted. */
export interface JobQueuePolicy extends FailurePolicy, ClaimPolicy, TenantSwitches {
  readonly leaseMs: number
  /** A job that runs longer loses its lease, which counts as a failure. */
  readonly jobTimeMaxMs: number
  /** A worker that did not poll for so long has no share of tenants any more. */
  readonly workerTtlMs: number
  /** Of the jobs of one tenant and level. */
  readonly order: JobOrder
  /** Ageing: a job is overtaken by smaller ones only while they are younger by its size over this rate. */
  readonly ageingBytesPerSecond: number
  /** By tenant, `*` for all others: profiles of a series within so long become one (aggregation.ts). 0 and absent: they stay. */
  readonly aggregationWindowsMs: Readonly<Record<string, number>>
  /** An object stays this long after its last dataset retired: no query outlives half of it. */
  readonly deletionGraceMs: number
}

export const JOB_QUEUE_POLICY: JobQueuePolicy = {
  leaseMs: 15 * MS_PER_SECOND,
  // 64 MiB of inputs are merged in about ten seconds: sixty times that is a worker that hangs.
  jobTimeMaxMs: 10 * MS_PER_MINUTE,
  // Two leases: a worker polls at least every third of one.
  workerTtlMs: 30 * MS_PER_SECOND,
  order: 'small-job-first',
  // One tenant may have the whole fleet while nobody else asks for it.
  runningPerTenantMax: 0,
  runningPerLevelMax: {},
  tenantShardSize: 0,
  enabledTenants: [],
  disabledTenants: [],
  failuresMax: 3,
  backoffBaseMs: MS_PER_SECOND,
  backoffMaxMs: MS_PER_MINUTE,
  // The largest L0 job, 32 MiB, yields to smaller ones for at most 32 s.
  ageingBytesPerSecond: MIB,
  // Whoever looks at single profiles wants them as they were pushed.
  aggregationWindowsMs: {},
  deletionGraceMs: 15 * MS_PER_MINUTE,
}

/** Level of what is made of segments. */
export const FIRST_LEVEL = 1
/** Ten to one three times: 9 + 9 + 9 objects of the lower tiers, and of the upper one 2 after an hour of 1,800 jobs. */
export const TIER_LEVEL_MAX = 4

/** A closed window of data is written as one block a service, at this level. */
export interface WindowStage {
  readonly level: number
  readonly windowMs: number
}

/** Ascending; each window holds whole windows of the stage before. Part of the format of plans: never renumbered. */
export const WINDOW_STAGES: readonly WindowStage[] = [
  { level: 5, windowMs: MS_PER_HOUR },
  { level: 6, windowMs: 6 * MS_PER_HOUR },
  { level: 7, windowMs: MS_PER_DAY },
]

/** From here on an object has one tenant. */
export const CLOSED_LEVEL = WINDOW_STAGES[0]!.level
/** Never merged again but for late data. */
export const LAST_LEVEL = WINDOW_STAGES.at(-1)!.level

/** Window of the datasets of a level. */
export function windowMsOfLevel(level: number): number {
  return WINDOW_STAGES.find((stage) => stage.level === level)?.windowMs ?? MS_PER_HOUR
}

export interface WindowCompactionPolicy {
  /** So many objects of a tier that hold a tenant's hour become one of the next. */
  readonly tierFanIn: number
  /** A window is closed this long after its end at the earliest … */
  readonly graceMs: number
  /** … once nothing arrived for it in this time … */
  readonly quietMs: number
  /** … or this long after its end, whatever arrives. */
  readonly forceMs: number
  /** Late bytes over the bytes of the closed block: above it the block is written anew. */
  readonly lateBytesFraction: number
  /** Late blocks of a service and window: from this many on the block is written anew, once arrivals rest. */
  readonly lateBlocksMax: number
  /** Inputs of one job; more is cut at services, a larger service at its blocks. */
  readonly jobBytesMax: number
  readonly jobsPerPassMax: number
}

export const WINDOW_COMPACTION_POLICY: WindowCompactionPolicy = {
  tierFanIn: 10,
  // Agents push every 10 to 60 s and retry for a few minutes: what comes after 5 minutes is late.
  graceMs: 5 * MS_PER_MINUTE,
  // Two of the longest usual push intervals.
  quietMs: 2 * MS_PER_MINUTE,
  // A backfill that never rests delays its window by an hour; what still comes is late data.
  forceMs: MS_PER_HOUR,
  // Each late byte is then rewritten with at most four others: amortised cost 5.
  lateBytesFraction: 0.25,
  lateBlocksMax: 10,
  // 64 MiB of inputs decode to about 500 MiB if they are one service, the most that a thread may hold.
  jobBytesMax: 64 * MIB,
  // One statement's worth; the next pass plans the rest.
  jobsPerPassMax: 64,
}
