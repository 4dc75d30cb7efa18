/** What a worker tells of itself: to the metastore with every poll, and to people and metrics under /status. Pure. */
import type { CompactionJob, PollJobsRequest, WorkerReport } from '#core/rpc/metastore.ts'
import type { JobProgress } from './run-job.ts'

export interface WorkerIdentity {
  readonly workerId: string
  /** Where its /status is; empty = nowhere. */
  readonly address: string
  readonly version: string
  readonly threads: number
  /** Jobs at once. */
  readonly capacity: number
  /** Memory for jobs, over all threads. */
  readonly budgetBytes: number
}

export interface WorkerCounts {
  readonly committed: number
  readonly failed: number
  readonly stale: number
  /** Jobs whose outputs did not hold what their sources hold: not published, kept below `quarantine/`. */
  readonly quarantined: number
  /** Datasets of outputs without their totals by function, because those did not add up. */
  readonly totalsLeftOut: number
  /** Objects that tombstones named. */
  readonly deleted: number
  /** Of committed jobs: rows and stored bytes of their sources. */
  readonly samples: number
  readonly inputBytes: number
}

export interface JobStatus {
  readonly jobId: string
  readonly epoch: number
  /** Of the output. */
  readonly level: number
  readonly tenants: readonly string[]
  readonly inputBytes: number
  readonly sources: number
  /** 0 to 1, by input bytes. */
  readonly progress: number
  readonly usedBytes: number
  readonly sinceMs: number
  readonly state: 'merging' | 'committing'
}

export interface WorkerStatus extends WorkerIdentity, WorkerCounts {
  readonly running: number
  readonly usedBytes: number
  readonly isStopping: boolean
  readonly jobs: readonly JobStatus[]
}

export interface TrackedJob {
  readonly job: CompactionJob
  readonly progress: JobProgress
  readonly sinceMs: number
  readonly isCommitting: boolean
}

export function jobStatus({ job, progress, sinceMs, isCommitting }: TrackedJob): JobStatus {
  const { jobId, epoch, level, sources } = job
  const tenants = new Set(sources.flatMap(({ datasets }) => datasets.map(({ descriptor }) => descriptor.tenant)))
  return {
    jobId,
    epoch,
    level,
    tenants: [...tenants].sort(),
    ...inputOf(job),
    sources: sources.length,
    progress: progress.progress,
    usedBytes: progress.usedBytes,
    sinceMs,
    state: isCommitting ? 'committing' : 'merging',
  }
}

export function inputOf(job: CompactionJob): { inputBytes: number; samples: number } {
  const descriptors = job.sources.flatMap(({ datasets }) => datasets.map(({ descriptor }) => descriptor))
  return {
    inputBytes: descriptors.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    samples: descriptors.reduce((sum, { sampleCount }) => sum + sampleCount, 0),
  }
}

export function usedBytesOf(jobs: Iterable<TrackedJob>): number {
  let used = 0
  for (const { progress } of jobs) used += progress.usedBytes
  return used
}

export function pollReport(
  { address, version, threads, capacity, budgetBytes }: WorkerIdentity,
  jobs: readonly TrackedJob[],
): { worker: WorkerReport; running: PollJobsRequest['running'] } {
  const running = jobs.map(({ job: { jobId, epoch }, progress }) => ({ jobId, epoch, progress: progress.progress }))
  return { worker: { address, version, threads, capacity, budgetBytes, usedBytes: usedBytesOf(jobs) }, running }
}
