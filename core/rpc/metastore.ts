/**
 * The metastore's contract. Shapes equal the protobuf messages of `apps/platform/proto/cinder/v1/metastore.proto`.
 * Times in milliseconds and sizes are doubles (exact below 2^53); positions are uint32.
 */

/** Where one dataset lies in its object, and what a plan needs to know without reading it. */
export interface DatasetDescriptor {
  /** Position in the object's footer: with the object id, the identity of the dataset. */
  index: number
  tenant: string
  service: string
  /** Window of the data: the data hour below the hour level. Half open [start, start + window). */
  windowStartMs: number
  windowMs: number
  /** Inclusive bounds of profile times. */
  minTimeMs: number
  maxTimeMs: number
  offset: number
  sizeBytes: number
  /** The first `headBytes` hold the section table and the sections that every read needs; the rest is read by need. */
  headBytes: number
  profileCount: number
  sampleCount: number
  /** Of an output: samples of its sources that were added to others (core/compaction/aggregation.ts); absent: none. */
  joinedSamples?: number | undefined
}

export interface LabelSet {
  tenant: string
  /** Start of the data hour. */
  windowStartMs: number
  /** name, value, name, value, … sorted by name: one series of one profile type, private labels included. */
  pairs: string[]
}

/** Positions of profile headers in one dataset that lost against an earlier profile with the same id. */
export interface DatasetSkips {
  index: number
  positions: number[]
}

export interface CommitSegmentRequest {
  objectId: string
  sizeBytes: number
  datasets: DatasetDescriptor[]
  /** 16 bytes per profile: dataset by dataset in descriptor order, headers in order. */
  profileIds: Uint8Array
  /** One byte per profile, 1 = decide duplicates by its id, 0 = it came with neither id nor time. */
  deduplicate: Uint8Array
  labelSets: LabelSet[]
  /** Under which epoch the sets that are left out were sent; absent: none is left out, or the writer is older than this. */
  labelEpoch?: number | undefined
}

export interface CommitSegmentResponse {
  /** `committed`; `replayed`: this object was committed before, live or retired by now, and the first verdict is repeated; `refused`: its id is on the retired list without a verdict; `labels-outdated`: nothing was done, because label sets were left out that were sent under another epoch: send it again with all of them and without `labelEpoch`. */
  verdict: string
  skips: DatasetSkips[]
  /** Grows with every deletion of a tenant: what a writer remembers of label sets is worth nothing across it. 0 also where what came with this commit is not worth remembering. */
  labelEpoch?: number
  /** Datasets of which every profile is older than the retention of its tenant and service: they were not kept. */
  expired?: number[]
}

/** One dataset of one object as a plan or a job names it. */
export interface SourceDataset {
  descriptor: DatasetDescriptor
  /** Its skip list: ascending header positions. */
  skip: number[]
}

export interface SourceObject {
  objectId: string
  level: number
  sizeBytes: number
  datasets: SourceDataset[]
}

export interface CompactionJob {
  jobId: string
  /** Fencing token: grows with every assignment of the job. */
  epoch: number
  leaseMs: number
  /** Level of the output. */
  level: number
  sources: SourceObject[]
  /** Of tenants whose profiles are joined by series and window; others' are not. */
  aggregation?: AggregationWindow[]
}

export interface AggregationWindow {
  tenant: string
  windowMs: number
}

/** One dataset of one object, by its place. */
export interface DatasetRef {
  objectId: string
  index: number
}

/** A job that its worker gives up. */
export interface FailedJob {
  jobId: string
  epoch: number
  /** For people. */
  reason: string
  /** `error` (also when absent or unknown), `over-budget`, `missing-source`, `corrupt-source`, `conservation`: see core/compaction/job-failure.ts. */
  kind?: string
  /** The source datasets to blame, as far as the worker knows them; empty = unknown. */
  culprits?: DatasetRef[]
}

/** What a worker tells of itself with every poll: for people and for sharding, never for leases. */
export interface WorkerReport {
  address: string
  version: string
  threads: number
  /** Jobs at once, whatever runs now; `PollJobsRequest.capacity` is what is free of it. */
  capacity: number
  /** Memory for jobs, and what running ones have of it. */
  budgetBytes: number
  usedBytes: number
}

export interface PollJobsRequest {
  workerId: string
  /** How many jobs the worker can take now. */
  capacity: number
  /** Leases to extend. `progress` from 0 to 1 is for people. */
  running: { jobId: string; epoch: number; progress?: number }[]
  failed: FailedJob[]
  /** Given back unfinished by a worker that stops: queued again at once, no failure is counted. */
  released: { jobId: string; epoch: number }[]
  /**
   * The worker polls one call after the other, and holds no job but those it names: what else was given to it was in an
   * answer that it never got, and goes back to the queue as if it were released.
   */
  holdsNoOther?: boolean | undefined
  /** Long poll: how long the metastore may wait for a job to appear. */
  waitMs: number
  worker?: WorkerReport | undefined
}

export interface PollJobsResponse {
  jobs: CompactionJob[]
  /** Running jobs whose lease is lost: stop, publish nothing. */
  lost: string[]
}

export interface OutputObject {
  objectId: string
  level: number
  sizeBytes: number
  datasets: DatasetDescriptor[]
}

export interface CommitCompactionRequest {
  workerId: string
  jobId: string
  epoch: number
  outputs: OutputObject[]
}

export interface CommitCompactionResponse {
  /** `committed` (also for a repeat of the same commit); `stale`: a source has gone, nothing published; `not-conserved`: the outputs do not hold what the sources hold, nothing published, the job is parked; `lost-lease`. In the last three the outputs are tombstoned. */
  verdict: string
  /** Ids of the sources that were not live any more. */
  staleObjectIds: string[]
}

export interface PlanQueryRequest {
  tenants: string[]
  startMs: number
  endMs: number
  /** Only these services; empty = all. */
  services: string[]
}

export interface PlanQueryResponse {
  objects: SourceObject[]
}

export interface LabelSetsRequest {
  tenants: string[]
  startMs: number
  endMs: number
  /** Every set is reduced to these labels before equal ones become one; empty = whole sets. */
  names: string[]
  /** Instead of sets each label name once, as a set `[name, '']` of its own; `names` says nothing then. */
  namesOnly: boolean
}

export interface LabelSetsResponse {
  /** Distinct sets over tenants and hours: name, value, …; one without pairs stands for sets without the named labels. */
  sets: { pairs: string[] }[]
}

export interface TenantStatsRequest {
  tenants: string[]
}

export interface TenantStatsResponse {
  dataIngested: boolean
  oldestProfileTimeMs: number
  newestProfileTimeMs: number
}

export interface ClaimTombstonesRequest {
  holder: string
  limit: number
}

export interface ClaimTombstonesResponse {
  /** Objects due for deletion (their grace has passed), leased to the holder. */
  tombstones: { objectId: string; epoch: number }[]
}

export interface ConfirmDeletedRequest {
  holder: string
  deleted: { objectId: string; epoch: number }[]
  /** Claims that the store refused: tried again ever later, with the reason in sight. */
  refused?: { objectId: string; epoch: number; reason: string }[]
}

export interface ConfirmDeletedResponse {
  forgotten: number
}

export interface Metastore {
  commitSegment(request: CommitSegmentRequest): Promise<CommitSegmentResponse>
  /**
   * `signal` ends the wait of a long poll: nobody waits for its answer any more. Jobs that it would have brought go back to
   * the queue where the metastore hears of it in time, else by their lease.
   */
  pollJobs(request: PollJobsRequest, options?: { readonly signal?: AbortSignal }): Promise<PollJobsResponse>
  commitCompaction(request: CommitCompactionRequest): Promise<CommitCompactionResponse>
  /** `signal` ends the call where it is one over the network: the rest of a large plan is not sent. */
  planQuery(request: PlanQueryRequest, signal?: AbortSignal): Promise<PlanQueryResponse>
  /** The same plan in parts, where the metastore can: it holds one part at a time. An object may come in several. */
  streamPlan?(request: PlanQueryRequest): AsyncIterable<PlanQueryResponse>
  labelSets(request: LabelSetsRequest): Promise<LabelSetsResponse>
  tenantStats(request: TenantStatsRequest): Promise<TenantStatsResponse>
  claimTombstones(request: ClaimTombstonesRequest): Promise<ClaimTombstonesResponse>
  confirmDeleted(request: ConfirmDeletedRequest): Promise<ConfirmDeletedResponse>
}
