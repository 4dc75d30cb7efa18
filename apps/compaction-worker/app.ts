/**
 * The compaction worker: polls for leased jobs, merges, commits, and deletes what tombstones name.
 *
 * 1. A poll renews the leases of running jobs, reports failures and asks for as many jobs as there is capacity.
 * 2. A job runs to its end in `runJob` (run-job.ts); its lease is renewed by the polls meanwhile. A lost lease cancels
 *    the job: nothing it wrote is referenced, and the metastore tombstones outputs it hears of.
 * 3. A commit whose outcome is unknown is repeated, because the metastore answers a repeat as it did the first time.
 * 4. Due tombstones are claimed, their objects deleted, then confirmed: delete, confirm, forget.
 * Must not: choose what to compact, or publish without the metastore's verdict.
 */
import { CinderError, isRetryable } from '#core/errors.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import type {
  CommitCompactionRequest,
  CommitCompactionResponse,
  CompactionJob,
  Metastore,
} from '#core/rpc/metastore.ts'
import { deleteDueObjects } from './delete-objects.ts'
import { type JobDeps, runJob } from './run-job.ts'

export interface CompactionWorkerSettings {
  readonly workerId: string
  /** Jobs at once. */
  readonly capacity: number
  /** Long poll when there is nothing to do. */
  readonly pollWaitMs: number
  readonly deleteIntervalMs: number
}

/** 1 s: long enough that an idle worker costs one query a second, short enough for the 15 s lease. */
export const POLL_WAIT_MS_DEFAULT = 1_000
/** Deletions are never urgent; due ones are at least a query grace old. */
export const DELETE_INTERVAL_MS_DEFAULT = 30_000
/** While jobs run, leases are renewed this often: a third of the 15 s lease, less a stalled poll. */
const RENEW_INTERVAL_MS = 4_000
/** After a failed poll: the metastore is away, do not spin. */
const POLL_BACKOFF_MS = 1_000
/** Between polls that bring nothing: a metastore that is stopping answers at once instead of after the long poll. */
const POLL_GAP_MIN_MS = 100
/** A commit is repeated 50, 200 and 800 ms later: less than a renewal, so the lease holds meanwhile. */
const COMMIT_ATTEMPTS_MAX = 4

export interface CompactionWorkerService {
  /** Resolves when running jobs have ended; unfinished ones are left to their lease. */
  stop(): Promise<void>
  status(): { running: number; committed: number; failed: number; stale: number; deleted: number }
}

export function startCompactionWorker(
  deps: JobDeps & { clock: Clock; log: Log; metastore: Metastore },
  settings: CompactionWorkerSettings,
): CompactionWorkerService {
  return new Worker(deps, settings)
}

interface RunningJob {
  readonly job: CompactionJob
  readonly cancel: AbortController
}

class Worker implements CompactionWorkerService {
  readonly #deps: JobDeps & { clock: Clock; log: Log; metastore: Metastore }
  readonly #settings: CompactionWorkerSettings
  readonly #stopping = new AbortController()
  readonly #running = new Map<string, RunningJob>()
  readonly #tasks = new Set<Promise<void>>()
  #failures: { jobId: string; epoch: number; reason: string }[] = []
  /** Jobs that ended so far, and the signal that ends the wait for the next one. */
  #ended = 0
  #jobEnded = new AbortController()
  #counts = { committed: 0, failed: 0, stale: 0, deleted: 0 }
  readonly #loops: Promise<void>[]

  constructor(deps: JobDeps & { clock: Clock; log: Log; metastore: Metastore }, settings: CompactionWorkerSettings) {
    this.#deps = deps
    this.#settings = settings
    this.#loops = [this.#pollLoop(), this.#deleteLoop()]
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#jobEnded.abort()
    for (const { cancel } of this.#running.values()) cancel.abort()
    await Promise.all([...this.#loops, ...this.#tasks])
  }

  status(): ReturnType<CompactionWorkerService['status']> {
    return { running: this.#running.size, ...this.#counts }
  }

  async #pollLoop(): Promise<void> {
    const { clock, log } = this.#deps
    while (!this.#stopping.signal.aborted) {
      const endedBefore = this.#ended
      const startedMs = clock.nowMs()
      try {
        await this.#poll()
      } catch (error) {
        log.warn('poll failed', { message: error instanceof Error ? error.message : String(error) })
        await clock.sleep(POLL_BACKOFF_MS, this.#stopping.signal)
      }
      if (this.#ended !== endedBefore) continue
      if (this.#running.size > 0) {
        // The next poll waits for a job to end, or for the next renewal.
        this.#jobEnded = new AbortController()
        await clock.sleep(RENEW_INTERVAL_MS, this.#jobEnded.signal)
      } else {
        const gapMs = startedMs + POLL_GAP_MIN_MS - clock.nowMs()
        if (gapMs > 0) await clock.sleep(gapMs, this.#stopping.signal)
      }
    }
  }

  async #poll(): Promise<void> {
    const { metastore } = this.#deps
    const failed = this.#failures
    this.#failures = []
    const capacity = Math.max(0, this.#settings.capacity - this.#running.size)
    const running = [...this.#running.values()].map(({ job }) => ({ jobId: job.jobId, epoch: job.epoch }))
    const waitMs = this.#running.size === 0 ? this.#settings.pollWaitMs : 0
    try {
      const response = await metastore.pollJobs({
        workerId: this.#settings.workerId,
        capacity,
        running,
        failed,
        waitMs,
      })
      for (const jobId of response.lost) this.#running.get(jobId)?.cancel.abort()
      for (const job of response.jobs) this.#start(job)
    } catch (error) {
      // Not heard: report again with the next poll.
      this.#failures = [...failed, ...this.#failures]
      throw error
    }
  }

  #start(job: CompactionJob): void {
    if (this.#stopping.signal.aborted) return
    const cancel = new AbortController()
    this.#running.set(job.jobId, { job, cancel })
    const task = this.#run(job, cancel.signal).finally(() => {
      this.#running.delete(job.jobId)
      this.#tasks.delete(task)
      this.#ended++
      this.#jobEnded.abort()
    })
    this.#tasks.add(task)
  }

  async #run(job: CompactionJob, signal: AbortSignal): Promise<void> {
    const { log } = this.#deps
    try {
      const outputs = await runJob(this.#deps, job, signal)
      if (signal.aborted) return
      const { jobId, epoch } = job
      const { workerId } = this.#settings
      const { verdict, staleObjectIds } = await this.#commit({ workerId, jobId, epoch, outputs }, signal)
      if (verdict === 'committed') this.#counts.committed++
      else {
        this.#counts.stale++
        log.warn('compaction not committed', { jobId: job.jobId, verdict, staleObjectIds })
      }
    } catch (error) {
      if (signal.aborted) return
      const reason = error instanceof Error ? error.message : String(error)
      this.#counts.failed++
      this.#failures.push({ jobId: job.jobId, epoch: job.epoch, reason: reason.slice(0, 1000) })
      log.error('compaction failed', { jobId: job.jobId, reason })
    }
  }

  async #commit(request: CommitCompactionRequest, signal: AbortSignal): Promise<CommitCompactionResponse> {
    const { metastore, clock } = this.#deps
    for (let attempt = 1; ; attempt++) {
      try {
        return await metastore.commitCompaction(request)
      } catch (error) {
        const mayRepeat = error instanceof CinderError && isRetryable(error.kind)
        if (!mayRepeat || attempt === COMMIT_ATTEMPTS_MAX || signal.aborted) throw error
        await clock.sleep(50 * 4 ** (attempt - 1), signal)
      }
    }
  }

  async #deleteLoop(): Promise<void> {
    const { clock, log } = this.#deps
    const { signal } = this.#stopping
    while (!signal.aborted) {
      try {
        this.#counts.deleted += await deleteDueObjects(this.#deps, this.#settings.workerId, signal)
      } catch (error) {
        log.warn('deletion failed', { message: error instanceof Error ? error.message : String(error) })
      }
      await clock.sleep(this.#settings.deleteIntervalMs, signal)
    }
  }
}
