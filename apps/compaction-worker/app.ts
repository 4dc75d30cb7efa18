/**
 * The compaction worker: polls for leased jobs, merges, commits, and deletes what tombstones name.
 *
 * 1. A poll renews the leases of running jobs, reports failures and asks for as many jobs as there is capacity.
 * 2. A job runs to its end elsewhere (`JobRunner`, job-threads.ts); its lease is renewed by the polls meanwhile. A lost lease cancels
 *    the job: nothing it wrote is referenced, and the metastore tombstones outputs it hears of.
 * 3. A commit whose outcome is unknown is repeated, because the metastore answers a repeat as it did the first time.
 * 4. Stop: jobs are cancelled and given back, so that another worker has them at once instead of after their lease, and
 *    no failure is counted. A job whose commit is under way is left to its verdict.
 * 5. With each poll goes what the worker is and has: capacity, memory, progress; with a failure who is to blame for it.
 * 6. Due tombstones are claimed, their objects deleted, then confirmed: delete, confirm, forget.
 * Must not: choose what to compact, or publish without the metastore's verdict.
 */
import { objectKey } from '#core/block/object-key.ts'
import { CinderError, isRetryable } from '#core/errors.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import type {
  CommitCompactionRequest,
  CommitCompactionResponse,
  CompactionJob,
  Metastore,
  OutputObject,
  PollJobsRequest,
} from '#core/rpc/metastore.ts'
import { deleteDueObjects } from './delete-objects.ts'
import { blameOf } from './job-failure.ts'
import { keepBadOutput, type QuarantineDeps } from './quarantine.ts'
import { JOB_BUDGET_BYTES, type JobProgress, type JobRunner } from './run-job.ts'
import {
  inputOf,
  jobStatus,
  pollReport,
  type TrackedJob,
  usedBytesOf,
  type WorkerIdentity,
  type WorkerStatus,
} from './worker-status.ts'

export interface CompactionWorkerSettings {
  readonly workerId: string
  /** Jobs at once. */
  readonly capacity: number
  /** Long poll while there is room for more jobs. */
  readonly pollWaitMs: number
  readonly deleteIntervalMs: number
  /** Where its /status is, for people. */
  readonly address?: string
  readonly version?: string
}

/** 1 s: long enough that an idle worker costs one query a second, short enough for the 15 s lease. */
export const POLL_WAIT_MS_DEFAULT = 1_000
/** Deletions are never urgent; due ones are at least a query grace old. */
export const DELETE_INTERVAL_MS_DEFAULT = 30_000
/** While it has no room for more, leases are renewed this often: a third of the 15 s lease, less a stalled poll. */
const RENEW_INTERVAL_MS = 4_000
/** After a failed poll: the metastore is away, do not spin. */
const POLL_BACKOFF_MS = 1_000
/** Between polls that bring nothing: a metastore that is stopping answers at once instead of after the long poll. */
const POLL_GAP_MIN_MS = 100
/** The last report of a worker that stops: half of the least that a process leaves to one part. */
const LAST_POLL_MAX_MS = 1_000
/** A poll that waits ends by itself within `pollWaitMs`; one that does not is given up: jobs it brings come back by their lease. */
const POLL_STOP_MAX_MS = 2_000
/** A commit is repeated 50, 200 and 800 ms later: less than a renewal, so the lease holds meanwhile. */
const COMMIT_ATTEMPTS_MAX = 4

export interface CompactionWorkerService {
  /** Resolves when running jobs have ended; unfinished ones are given back. */
  stop(): Promise<void>
  status(): WorkerStatus
}

export interface CompactionWorkerDeps extends QuarantineDeps {
  readonly runner: JobRunner
  readonly metastore: Metastore
  readonly clock: Clock
  readonly log: Log
}

export function startCompactionWorker(
  deps: CompactionWorkerDeps,
  settings: CompactionWorkerSettings,
): CompactionWorkerService {
  return new Worker(deps, settings)
}

interface RunningJob extends TrackedJob {
  readonly cancel: AbortController
  readonly progress: JobProgress
  /** From here on only the metastore knows whether it is done. */
  isCommitting: boolean
}

class Worker implements CompactionWorkerService {
  readonly #deps: CompactionWorkerDeps
  readonly #settings: CompactionWorkerSettings
  readonly #stopping = new AbortController()
  /** By job: its newest attempt. One that was lost and came back may run beside its first attempt for a while. */
  readonly #running = new Map<string, RunningJob>()
  /** Of all attempts. */
  readonly #tasks = new Set<Promise<void>>()
  #failures: PollJobsRequest['failed'] = []
  /** Cancelled by stop, or given out while stopping. */
  #released: PollJobsRequest['released'] = []
  /** Jobs that ended so far, and the signal that ends the wait for the next one. */
  #ended = 0
  #jobEnded = new AbortController()
  /** Ends a poll that outlives the stop. */
  readonly #pollCancel = new AbortController()
  #counts = {
    committed: 0,
    failed: 0,
    stale: 0,
    quarantined: 0,
    deleted: 0,
    samples: 0,
    inputBytes: 0,
    totalsLeftOut: 0,
  }
  readonly #identity: WorkerIdentity
  readonly #polls: Promise<void>
  readonly #deletions: Promise<void>

  constructor(deps: CompactionWorkerDeps, settings: CompactionWorkerSettings) {
    this.#deps = deps
    this.#settings = settings
    const { workerId, capacity, address = '', version = '' } = settings
    const budgetBytes = capacity * JOB_BUDGET_BYTES
    this.#identity = { workerId, address, version, threads: capacity, capacity, budgetBytes }
    this.#polls = this.#pollLoop()
    this.#deletions = this.#deleteLoop()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#jobEnded.abort()
    for (const { job, cancel, isCommitting } of this.#running.values()) {
      cancel.abort()
      if (!isCommitting) this.#release(job)
    }
    await this.#endPolls()
    // Before the merges end: they cannot be interrupted, and the process may not live that long.
    await this.#lastPoll()
    await Promise.all([this.#deletions, ...this.#tasks])
    // Commits that failed meanwhile.
    await this.#lastPoll()
  }

  /** A poll that waits ends by its own time, and may bring jobs; one that hangs is given up. */
  async #endPolls(): Promise<void> {
    const ended = new AbortController()
    const polls = this.#polls.finally(() => ended.abort())
    await Promise.race([polls, this.#deps.clock.sleep(POLL_STOP_MAX_MS, ended.signal)])
    this.#pollCancel.abort()
  }

  #release({ jobId, epoch }: CompactionJob): void {
    this.#released.push({ jobId, epoch })
  }

  /** What is not heard costs a lease, no more: errors are only logged, and the wait is bounded. */
  async #lastPoll(): Promise<void> {
    const { metastore, clock, log } = this.#deps
    const [released, failed] = [this.#released, this.#failures]
    if (released.length === 0 && failed.length === 0) return
    this.#released = []
    this.#failures = []
    const { workerId } = this.#settings
    const heard = new AbortController()
    const poll = metastore
      .pollJobs({ workerId, capacity: 0, running: [], failed, released, waitMs: 0 }, { signal: heard.signal })
      .catch((error: unknown) => {
        log.warn('last poll failed', { message: error instanceof Error ? error.message : String(error) })
      })
    await Promise.race([poll, clock.sleep(LAST_POLL_MAX_MS, heard.signal)])
    heard.abort()
  }

  status(): WorkerStatus {
    const jobs = [...this.#running.values()]
    return {
      ...this.#identity,
      ...this.#counts,
      running: jobs.length,
      usedBytes: usedBytesOf(jobs),
      isStopping: this.#stopping.signal.aborted,
      jobs: jobs.map(jobStatus),
    }
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
      // Stopped just now: the signal of the next wait would not know.
      if (this.#ended !== endedBefore || this.#stopping.signal.aborted) continue
      if (this.#tasks.size >= this.#settings.capacity || this.#hasLost()) {
        // Nothing to ask for, or told of a lost job at once each time: the next poll waits for a job to end, or for the next renewal.
        this.#jobEnded = new AbortController()
        await clock.sleep(RENEW_INTERVAL_MS, this.#jobEnded.signal)
      } else {
        // Not more than the gap, should the clock have been set back.
        const gapMs = Math.min(POLL_GAP_MIN_MS, startedMs + POLL_GAP_MIN_MS - clock.nowMs())
        if (gapMs > 0) await clock.sleep(gapMs, this.#stopping.signal)
      }
    }
  }

  /** A merge cannot be interrupted: it ends, and is told of until then. */
  #hasLost(): boolean {
    return [...this.#running.values()].some(({ cancel }) => cancel.signal.aborted)
  }

  async #poll(): Promise<void> {
    const { metastore } = this.#deps
    const failed = this.#failures
    this.#failures = []
    const capacity = Math.max(0, this.#settings.capacity - this.#tasks.size)
    const { worker, running } = pollReport(this.#identity, [...this.#running.values()])
    // With room for more a job must not wait for the next renewal. Of one that ends meanwhile people hear this much later.
    const waitMs = capacity > 0 ? this.#settings.pollWaitMs : 0
    try {
      const report = { workerId: this.#settings.workerId, running, failed, released: [], worker }
      const request = { ...report, capacity, waitMs, holdsNoOther: true }
      const response = await metastore.pollJobs(request, { signal: this.#pollCancel.signal })
      for (const jobId of response.lost) this.#running.get(jobId)?.cancel.abort()
      for (const job of response.jobs) this.#start(job)
    } catch (error) {
      // Not heard: report again with the next poll.
      this.#failures = [...failed, ...this.#failures]
      throw error
    }
  }

  #start(job: CompactionJob): void {
    if (this.#stopping.signal.aborted) {
      this.#release(job)
      return
    }
    const progress = { progress: 0, usedBytes: 0 }
    const sinceMs = this.#deps.clock.nowMs()
    const running: RunningJob = { job, cancel: new AbortController(), progress, sinceMs, isCommitting: false }
    // Given out anew, it is lost to the attempt before.
    this.#running.get(job.jobId)?.cancel.abort()
    this.#running.set(job.jobId, running)
    const task = this.#run(running).finally(() => {
      if (this.#running.get(job.jobId) === running) this.#running.delete(job.jobId)
      this.#tasks.delete(task)
      this.#ended++
      this.#jobEnded.abort()
    })
    this.#tasks.add(task)
  }

  async #run(running: RunningJob): Promise<void> {
    const { log, runner } = this.#deps
    const { job, progress } = running
    const { signal } = running.cancel
    try {
      const onTotalsFault = (fault: string): void => this.#noteTotals(job, fault)
      const outputs = [...(await runner.run(job, { signal, progress, onTotalsFault }))]
      if (signal.aborted) {
        this.#discard(outputs)
        return
      }
      running.isCommitting = true
      const { jobId, epoch } = job
      const { workerId } = this.#settings
      const { verdict, staleObjectIds } = await this.#commit({ workerId, jobId, epoch, outputs }, signal)
      if (verdict === 'committed') this.#countCommitted(job)
      else if (verdict === 'not-conserved') await this.#quarantine(job, outputs)
      else {
        this.#counts.stale++
        log.warn('compaction not committed', { jobId: job.jobId, verdict, staleObjectIds })
      }
    } catch (error) {
      if (signal.aborted) {
        // If the commit landed after all, there is nothing left to give back, and the metastore sees that.
        if (running.isCommitting) this.#release(job)
        return
      }
      const reason = error instanceof Error ? error.message : String(error)
      const { failure: kind, culprits } = blameOf(error)
      const { jobId, epoch } = job
      this.#counts.failed++
      if (kind === 'conservation') this.#counts.quarantined++
      this.#failures.push({ jobId, epoch, reason: reason.slice(0, 1000), kind, culprits: [...culprits] })
      log.error('compaction failed', { jobId, kind, reason, culprits: culprits.length })
    }
  }

  /** Written before the cancellation was heard of; nobody knows them. Not waited for: what stays is found by the search for orphans. */
  #discard(outputs: readonly OutputObject[]): void {
    const { store } = this.#deps
    void Promise.allSettled(outputs.map(({ objectId }) => store.delete(objectKey(objectId))))
  }

  /** The job is parked, with this folder in its reason; its outputs have become tombstones, which have a grace. */
  async #quarantine(job: CompactionJob, outputs: readonly OutputObject[]): Promise<void> {
    const { jobId, epoch } = job
    const reason = 'the metastore refused the commit: the outputs do not hold what the sources hold'
    const kept = await keepBadOutput(this.#deps, job, { reason, outputs })
    this.#counts.quarantined++
    this.#deps.log.error('compaction not conserved', { jobId, epoch, kept })
  }

  /** Queries of that dataset read its hours instead: slower, and right. */
  #noteTotals({ jobId }: CompactionJob, reason: string): void {
    this.#counts.totalsLeftOut++
    this.#deps.log.error('totals by function left out', { jobId, reason })
  }

  #countCommitted(job: CompactionJob): void {
    const { inputBytes, samples } = inputOf(job)
    this.#counts.committed++
    this.#counts.inputBytes += inputBytes
    this.#counts.samples += samples
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
