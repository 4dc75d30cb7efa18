/**
 * What operators see. Shapes equal the protobuf messages of `apps/platform/proto/cinder/v1/status.proto`. Times are
 * milliseconds of Postgres' clock, durations and sizes doubles; 0 = none, '' = unknown. Lists are bounded; where one is
 * cut, a total beside it says how many there are.
 */

export interface DatabaseStatus {
  /** `ok`, or what is wrong in one word. */
  state: string
  sinceMs: number
  /** For people. */
  words: string
  lastError: string
  /** As the server names itself. */
  serverVersion: string
  schemaVersion: number
  /** undefined: none is open for longer than a few seconds, or we may not see it. */
  oldTransaction?: OldTransaction | undefined
}

/** The oldest transaction whose snapshot keeps vacuum from what has died since. */
export interface OldTransaction {
  /** Of the process; 0 for a prepared transaction. */
  pid: number
  /** How the client names itself, or the name of the prepared transaction. */
  application: string
  user: string
  /** As the server says: `active`, `idle in transaction`, …; `prepared`. */
  state: string
  sinceMs: number
}

/** Something that a person should look at. */
export interface Concern {
  /** `critical`: data or the service is at risk; `warning`: it will be, if nobody acts. */
  severity: string
  subject: string
  text: string
}

/** Work by the level of its output: a job of level 1 merges segments of level 0. */
export interface LevelBacklog {
  level: number
  /** Inputs that no job holds yet; known for level 1 alone, above it planning takes what is due. */
  waiting: number
  waitingBytes: number
  queued: number
  queuedBytes: number
  running: number
  runningBytes: number
  parked: number
  parkedBytes: number
  /** When the oldest waiting input came, or the oldest job that is queued or running was made. */
  oldestMs: number
}

export interface RunningJobStatus {
  jobId: string
  level: number
  holder: string
  epoch: number
  expiresMs: number
  /** When the job was planned. */
  createdMs: number
  sources: number
  sizeBytes: number
  failures: number
  /** 0 to 1. */
  progress: number
  /** When its worker took it. */
  startedMs: number
}

export interface ParkedJobStatus {
  jobId: string
  level: number
  sources: number
  sizeBytes: number
  failures: number
  createdMs: number
  /** '' where several share the job. */
  tenant: string
  reason: string
}

export interface LeaseStatus {
  name: string
  holder: string
  epoch: number
  /** When this term began. */
  sinceMs: number
  expiresMs: number
  isHeld: boolean
}

/** A duty of the whole service, whichever replica runs it. */
export interface DutyStatus {
  name: string
  /** Who runs it, or ran it last. */
  holder: string
  isRunning: boolean
  /** Begin and end of the last run. */
  startedMs: number
  finishedMs: number
  nextDueMs: number
  /** In a row. */
  failures: number
  /** The last one ever: it stays when later runs go well. */
  lastError: string
  lastErrorMs: number
}

export interface WorkerStatus {
  workerId: string
  address: string
  version: string
  threads: number
  capacity: number
  budgetBytes: number
  usedBytes: number
  registeredMs: number
  lastSeenMs: number
  expiresMs: number
  isAlive: boolean
  /** Jobs that it holds. */
  runningJobs: string[]
}

export interface WriterStatus {
  writerId: string
  address: string
  epoch: number
  expiresMs: number
  /** `serving`, `leaving`; `away`: its lease has run out. */
  state: string
  registeredMs: number
  /** Routing slots that it owns. */
  slots: number
  /** What it takes in, as it said last. */
  bytesPerSecond: number
  profilesPerSecond: number
}

/** A service that is spread over several slots. */
export interface SpreadService {
  tenant: string
  service: string
  /** In slots. */
  width: number
  /** Writers of those slots: objects that a query of it reads for one flush of each. */
  writers: number
  bytesPerSecond: number
  profilesPerSecond: number
}

/** The placement table that edges read. */
export interface PlacementStatus {
  generation: number
  changedMs: number
  slots: number
  /** The widest. */
  services: SpreadService[]
  servicesTotal: number
}

export interface TombstoneStatus {
  queued: number
  /** Past their grace. */
  due: number
  /** Due for longer than deleting may take. */
  overdue: number
  oldestDueMs: number
  /** Leased to a worker that deletes. */
  deleting: number
  /** Refused by the store at least once; tried again ever later. */
  refused: number
  /** Why, of one of them. */
  refusal: string
}

/** A tenant that is being deleted, or a change of retention that is announced. */
export interface DeletionStatus {
  /** `tenant` or `retention`. */
  kind: string
  tenant: string
  service: string
  state: string
  /** When it takes effect, or did. */
  effectiveMs: number
  detail: string
}

export interface RestoreStatus {
  /** `none`; else what was detected. */
  state: string
  words: string
  sinceMs: number
}

/** The object store, as the process that answers has seen it. */
export interface StoreStatus {
  /** `ok`, `no-writes`, `no-answer`. */
  state: string
  sinceMs: number
  lastError: string
}

/** A part of the report that could not be read; the rest stands. */
export interface FailedSection {
  section: string
  message: string
}

export interface StatusReport {
  nowMs: number
  version: string
  /** The replica that answers. */
  instanceId: string
  startedMs: number
  database: DatabaseStatus
  concerns: Concern[]
  failed: FailedSection[]
  backlog: LevelBacklog[]
  /** Arrival of the oldest segment that waits for its first compaction and is not parked. */
  oldestInputMs: number
  running: RunningJobStatus[]
  runningTotal: number
  parked: ParkedJobStatus[]
  parkedTotal: number
  leases: LeaseStatus[]
  duties: DutyStatus[]
  workers: WorkerStatus[]
  writers: WriterStatus[]
  /** Undefined: no writer ever registered, or the server is older. */
  placement?: PlacementStatus | undefined
  tombstones: TombstoneStatus
  deletions: DeletionStatus[]
  restore: RestoreStatus
  retentionDefaultMs: number
  /** Undefined: this replica has none, or the server is older. */
  store?: StoreStatus | undefined
}

export interface StatusService {
  getStatus(): Promise<StatusReport>
}
