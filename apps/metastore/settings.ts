/** Settings of the metastore: plain data with defaults, each with its reason. Components are passed beside them. */
import {
  JOB_QUEUE_POLICY,
  SEGMENT_COMPACTION_POLICY,
  type JobQueuePolicy,
  type SegmentCompactionPolicy,
  WINDOW_COMPACTION_POLICY,
  type WindowCompactionPolicy,
} from '#core/compaction/policy.ts'
import { MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND } from '#core/units.ts'
import { LABEL_SETS_PER_HOUR_MAX } from '#db/sql/label-sets.ts'

export interface MetastoreSettings {
  /** Unique per process start: the holder in lease rows. */
  readonly instanceId: string
  readonly segmentPolicy: SegmentCompactionPolicy
  readonly windowPolicy: WindowCompactionPolicy
  readonly jobPolicy: JobQueuePolicy
  /** While segments wait: a quarter of the 2 s age trigger. */
  readonly planIntervalMs: number
  /** While nothing waits: how soon a segment committed through another replica is noticed. */
  readonly planIdleIntervalMs: number
  /** Tiers, closed hours and above: a tenth of the two minutes that a closing hour must rest. */
  readonly planWindowsIntervalMs: number
  readonly leaseTtlMs: number
  readonly cleanIntervalMs: number
  readonly profileIdAgeMs: number
  readonly closedJobAgeMs: number
  readonly deletedObjectAgeMs: number
  /** Label sets of one answer, as they are asked for: 100,000 whole ones are about 30 MiB. */
  readonly labelSetsMax: number
  /** Kept of a tenant and data hour (db/sql/label-sets.ts). */
  readonly labelSetsPerHourMax: number
  /** The caller gives up on a commit after this: below the 8 s by which a push must be answered. */
  readonly commitDeadlineMs: number
}

/** `queue` is what the operator set of it. */
export function defaultSettings(instanceId: string, queue: Partial<JobQueuePolicy> = {}): MetastoreSettings {
  return {
    instanceId,
    segmentPolicy: SEGMENT_COMPACTION_POLICY,
    windowPolicy: WINDOW_COMPACTION_POLICY,
    jobPolicy: { ...JOB_QUEUE_POLICY, ...queue },
    planIntervalMs: 500,
    planIdleIntervalMs: 2 * MS_PER_SECOND,
    planWindowsIntervalMs: 10 * MS_PER_SECOND,
    // A dead planner is replaced within this; it is renewed at half of it.
    leaseTtlMs: 5 * MS_PER_SECOND,
    cleanIntervalMs: 30 * MS_PER_SECOND,
    // The promise to clients: a retry within 15 minutes counts once.
    profileIdAgeMs: 15 * MS_PER_MINUTE,
    // Longer than any worker repeats a commit whose answer it lost.
    closedJobAgeMs: MS_PER_HOUR,
    // The age of the retired list.
    deletedObjectAgeMs: 7 * MS_PER_DAY,
    labelSetsMax: 100_000,
    labelSetsPerHourMax: LABEL_SETS_PER_HOUR_MAX,
    commitDeadlineMs: 6 * MS_PER_SECOND,
  }
}
