/**
 * The queue of compaction for people and scripts: what waits, runs and is parked, why, and what is left alone. Shapes
 * equal the protobuf messages of `apps/platform/proto/cinder/v1/jobs.proto`. Times in milliseconds, 0 = never.
 */

export interface JobSummary {
  jobId: string
  /** `queued`, `running`, `parked`, `done`, `stale` (closed without a result: planned anew, split, or its data is gone). */
  state: string
  /** Of the output. */
  level: number
  tenants: string[]
  sizeBytes: number
  sourceCount: number
  datasetCount: number
  failures: number
  epoch: number
  /** The worker that runs it. */
  holder: string
  /** 0 to 1, as the worker says. */
  progress: number
  /** Of the last failure, or why it was parked or closed. */
  reason: string
  /** Of the last failure: see core/compaction/job-failure.ts. */
  failureKind: string
  /** The job that it was split from. */
  parentId: string
  createdMs: number
  /** Not given out before. */
  notBeforeMs: number
  startedMs: number
  /** End of the lease. */
  expiresMs: number
  finishedMs: number
}

export interface JobSource {
  objectId: string
  level: number
  index: number
  tenant: string
  service: string
  windowStartMs: number
  sizeBytes: number
}

export interface JobFailureRecord {
  failedMs: number
  holder: string
  epoch: number
  kind: string
  reason: string
  /** It failed as a part of the job that this one was split from. */
  isInherited: boolean
}

export interface ListJobsRequest {
  /** Empty = queued, running and parked. */
  states: string[]
  /** Empty = all. */
  tenant: string
  /** 0 = all. */
  level: number
  /** 0 = 100, 1,000 at most. */
  pageSize: number
  /** `nextPageToken` of the page before. */
  pageToken: string
}

export interface ListJobsResponse {
  /** Newest first. */
  jobs: JobSummary[]
  /** Empty = this is the last page. */
  nextPageToken: string
}

export interface JobDetail {
  job: JobSummary
  /** Empty for a job that is closed. The first 10,000. */
  sources: JobSource[]
  /** Oldest first. */
  failures: JobFailureRecord[]
}

/** Datasets that no plan takes. */
export interface CompactionMark {
  objectId: string
  tenant: string
  /** -1 = all that the tenant has in the object. */
  index: number
  reason: string
  markedMs: number
}

export interface ListMarksRequest {
  /** Empty = all. */
  tenant: string
  pageSize: number
  pageToken: string
}

export interface ListMarksResponse {
  marks: CompactionMark[]
  nextPageToken: string
}

/** A tenant whose compaction somebody switched; the policy decides about all others. */
export interface TenantCompaction {
  tenant: string
  isEnabled: boolean
  reason: string
  changedMs: number
}

export interface WorkerSummary {
  workerId: string
  address: string
  version: string
  threads: number
  capacity: number
  running: number
  budgetBytes: number
  usedBytes: number
  firstSeenMs: number
  seenMs: number
  /** It polled lately. */
  isLive: boolean
}

export interface JobService {
  listJobs(request: ListJobsRequest): Promise<ListJobsResponse>
  getJob(request: { jobId: string }): Promise<JobDetail>
  /** A parked or waiting job is queued at once, its failures forgiven, its history kept. */
  retryJob(request: { jobId: string }): Promise<JobSummary>
  /** A queued or running job is taken out of the way; a worker that runs it has lost it. */
  parkJob(request: { jobId: string; reason: string }): Promise<JobSummary>
  /** Plans to come leave it alone; a job that holds it already goes on. */
  setMark(request: { objectId: string; tenant: string; index: number; reason: string }): Promise<CompactionMark>
  clearMark(request: { objectId: string; tenant: string; index: number }): Promise<{ isCleared: boolean }>
  listMarks(request: ListMarksRequest): Promise<ListMarksResponse>
  setTenantCompaction(request: { tenant: string; isEnabled: boolean; reason: string }): Promise<TenantCompaction>
  listTenantCompaction(): Promise<{ tenants: TenantCompaction[] }>
  listWorkers(): Promise<{ workers: WorkerSummary[] }>
}
