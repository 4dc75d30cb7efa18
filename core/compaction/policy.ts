/** Compaction policies: data that planning and the job queue read. Every figure carries its reason. */
import { MIB, MS_PER_MINUTE, MS_PER_SECOND } from '../units.ts'

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

export interface JobQueuePolicy {
  readonly leaseMs: number
  /** A job that failed this often is parked: visible, retryable, never evicted. A lost lease counts. */
  readonly failuresMax: number
  /** Wait after the first failure; doubles with each. */
  readonly backoffBaseMs: number
  readonly backoffMaxMs: number
  /** Ageing: a job is overtaken by smaller ones only while they are younger by its size over this rate. */
  readonly ageingBytesPerSecond: number
  /** An object stays this long after its last dataset retired: no query outlives half of it. */
  readonly deletionGraceMs: number
}

export const JOB_QUEUE_POLICY: JobQueuePolicy = {
  leaseMs: 15 * MS_PER_SECOND,
  failuresMax: 3,
  backoffBaseMs: MS_PER_SECOND,
  backoffMaxMs: MS_PER_MINUTE,
  // The largest L0 job, 32 MiB, yields to smaller ones for at most 32 s.
  ageingBytesPerSecond: MIB,
  deletionGraceMs: 15 * MS_PER_MINUTE,
}
