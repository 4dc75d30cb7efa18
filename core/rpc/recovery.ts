/**
 * Index against bucket: long runs that restore, compare, back up, and the state of what watches over both. Shapes equal
 * the protobuf messages of `apps/platform/proto/cinder/v1/recovery.proto`. Times in milliseconds, 0 = never.
 */

/** One thing that a run found, or that it cannot restore. */
export interface RecoveryFinding {
  /** `missing-object`, `unknown-object`, `wrong-size`, `damaged-object`, `unreadable-object`, `wrong-count`, `dangling-job`, `dangling-tombstone`, `lost-tombstone`, `not-restored`, `note`. */
  kind: string
  /** An object id, a dataset, a job, a table. */
  subject: string
  detail: string
  /** What a repair does about it; empty = nothing can be done. */
  mend: string
  isMended: boolean
}

export type RecoveryKind = 'rebuild' | 'fsck' | 'backup' | 'restore'

export interface RecoveryRun {
  runId: string
  /** RecoveryKind. */
  kind: string
  /** `queued`, `running`, `done`, `failed`. */
  state: string
  repair: boolean
  deep: boolean
  /** Of the backup: written or read. */
  key: string
  /** What it is doing, in words. */
  phase: string
  done: number
  /** 0 = not known yet. */
  total: number
  createdMs: number
  finishedMs: number
  /** Of a failed run. */
  error: string
  findings: RecoveryFinding[]
}

export interface RecoveryStatus {
  /** `normal`; `behind`: the database was restored or is new, nothing is deleted or compacted; `unchecked`: the bucket could not be asked yet, nothing is deleted. */
  state: string
  /** Why, in words. */
  reason: string
  sinceMs: number
  counter: number
  /** Objects that no commit has named yet. */
  orphanCandidates: number
  /** Of all time. */
  orphansRetired: number
  settingsDumpedMs: number
  /** The latest, newest first, without their findings. */
  runs: RecoveryRun[]
}

export interface StartRecoveryRequest {
  kind: string
  /** fsck: mend what is found; else it is a dry run. */
  repair: boolean
  /** fsck: read every byte and check every sum. */
  deep: boolean
  /** restore: of which backup. */
  key: string
}

export interface GetRecoveryRequest {
  runId: string
  /** Long poll: answer when the run has ended, or after this. */
  waitMs: number
}

export interface RecoveryService {
  recoveryStatus(): Promise<RecoveryStatus>
  /** Fails with `failed_precondition` while another run is open. */
  startRecovery(request: StartRecoveryRequest): Promise<RecoveryRun>
  getRecovery(request: GetRecoveryRequest): Promise<RecoveryRun>
}
