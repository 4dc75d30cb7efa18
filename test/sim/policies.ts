/**
 * The product's policies with shorter times and smaller numbers, so that a minute of a world sees what a day does: tiers,
 * closed hours, windows of six and 24 hours, late data, deletions. What the product's code fixes itself stays as it is:
 * leases of 15 s, renewals every 4 s.
 */
import {
  JOB_QUEUE_POLICY,
  type JobQueuePolicy,
  SEGMENT_COMPACTION_POLICY,
  type SegmentCompactionPolicy,
  WINDOW_COMPACTION_POLICY,
  type WindowCompactionPolicy,
} from '#core/compaction/policy.ts'
import { DEFAULT_LIMITS, type TenantLimits } from '#core/limits/limits.ts'

export const SIM_SEGMENT_POLICY: SegmentCompactionPolicy = {
  ...SEGMENT_COMPACTION_POLICY,
  triggerCount: 5,
  jobSegmentsMax: 6,
}

export const SIM_WINDOW_POLICY: WindowCompactionPolicy = {
  ...WINDOW_COMPACTION_POLICY,
  tierFanIn: 3,
  graceMs: 1_000,
  quietMs: 3_000,
  forceMs: 10_000,
  lateBlocksMax: 3,
}

export const SIM_JOB_POLICY: JobQueuePolicy = {
  ...JOB_QUEUE_POLICY,
  deletionGraceMs: 6_000,
  backoffMaxMs: 5_000,
  jobTimeMaxMs: 40_000,
}

/** Both are shorter than late commits are late: the search for orphans meets them, and with the first also slow ones. */
export const SIM_ORPHAN_GRACES_MS = [1_500, 12_000]
/** Where writers acknowledge by the journal: longer than any of them takes to write an entry, as the product's day is. */
export const ORPHAN_GRACE_LONG_MS = 600_000

/** Clocks are off by seconds and data is days old: no limit looks at times here. */
export const SIM_LIMITS: TenantLimits = {
  ...DEFAULT_LIMITS,
  ingestionRateBytes: 0,
  rejectOlderThanMs: 0,
  rejectNewerThanMs: 0,
  maxQueryLengthMs: 0,
  maxQueryLookbackMs: 0,
}

/** A world's ledger takes a retry of what a deletion took for a duplicate, and no push for refused by its age. */
export const SIM_TWIN = { renewsIds: false, tellsExpired: false } as const
