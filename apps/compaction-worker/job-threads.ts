/**
 * Runs jobs in worker threads, each with a store of its own, so that neither a merge of seconds nor the reads and writes
 * of a job wait for, or hold, the loop that answers pushes and queries: that loop hears of a job when it is given out
 * and when it is done.
 *
 * Threads start when a job finds none idle, and end when they have had none for `IDLE_ENDS_MS`: what a thread keeps for its
 * next merge (symbols, scratch, compiled code: 40 to 60 MB after a day's blocks) is memory that queries need.
 * One that dies is named in the log, fails its job and is replaced by the next job. A job that was cancelled ends within a group of its merge; a thread that does not end it in `HANGS_AFTER_MS` hangs and is ended: a job
 * that nobody cancels is cancelled by its lease when it has had its time.
 */
import { CinderError } from '#core/errors.ts'
import type { Log } from '#core/ports/log.ts'
import type { CompactionJob, OutputObject } from '#core/rpc/metastore.ts'
import { MS_PER_SECOND } from '#core/units.ts'
import type { EndedCall } from '#platform/metrics/metered-store.ts'
import { JobFailure } from './job-failure.ts'
import type { JobProgress, JobRunner, RunJobOptions } from './run-job.ts'
import { type ThreadQuestion, type ThreadReply, unpackError } from './thread-messages.ts'

/** The largest group is merged in ten seconds, on a machine that is full in thirty. */
const HANGS_AFTER_MS = 60 * MS_PER_SECOND
/**
 * Agents push every 10 to 15 s, and each push is a job two seconds later: a thread with steady work stays. Starting one
 * costs 0.1 s of CPU, and its first merges, not compiled yet, half as much again as later ones.
 */
const IDLE_ENDS_MS = 30 * MS_PER_SECOND

export interface JobThreadsDeps {
  readonly log: Log
  /** Calls that a thread has made of its store. */
  readonly onStoreCalls?: (calls: readonly EndedCall[]) => void
  /** A test's ways to the thread and to time. */
  readonly startThread?: () => Worker
  readonly later?: (delayMs: number, run: () => void) => void
}

export interface JobThreadsSettings {
  /** At most so many jobs run at once; the compaction worker's capacity keeps more from arriving. */
  readonly threadsMax: number
  /** Of the store that this process has opened. */
  readonly storageUrl: string
}

interface RunningJob {
  readonly jobId: string
  readonly progress: JobProgress | undefined
  readonly onTotalsFault: RunJobOptions['onTotalsFault']
  readonly done: (outputs: readonly OutputObject[]) => void
  readonly fail: (error: Error) => void
}

interface Slot {
  readonly name: string
  readonly worker: Worker
  running: RunningJob | undefined
  /** How many it was given. */
  jobs: number
  /** A timer looks after it. */
  isWatched: boolean
}

export function createJobThreads(deps: JobThreadsDeps, settings: JobThreadsSettings): JobRunner {
  return new JobThreads(deps, settings)
}

class JobThreads implements JobRunner {
  readonly #deps: JobThreadsDeps
  readonly #settings: JobThreadsSettings
  readonly #slots: Slot[] = []
  #started = 0
  #isStopped = false

  constructor(deps: JobThreadsDeps, settings: JobThreadsSettings) {
    this.#deps = deps
    this.#settings = settings
  }

  async run(job: CompactionJob, options: RunJobOptions): Promise<readonly OutputObject[]> {
    const { signal, progress, symbolBytesMax, onTotalsFault } = options
    if (this.#isStopped) throw stopping()
    if (signal.aborted) return []
    const slot = this.#idle()
    const { promise, resolve: done, reject: fail } = Promise.withResolvers<readonly OutputObject[]>()
    const running: RunningJob = { jobId: job.jobId, progress, onTotalsFault, done, fail }
    slot.running = running
    slot.jobs++
    const cancel = (): void => this.#cancel(slot, running)
    try {
      tell(slot, { kind: 'run', job, ...(symbolBytesMax === undefined ? {} : { symbolBytesMax }) })
      signal.addEventListener('abort', cancel, { once: true })
      return await promise
    } catch (error) {
      // The runtime refused the message: the thread has not seen it and is free.
      throw error instanceof CinderError ? error : lost(`job not sent: ${String(error)}`)
    } finally {
      signal.removeEventListener('abort', cancel)
      if (slot.running === running) slot.running = undefined
      this.#watchIdle(slot)
    }
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    for (const { worker, running } of this.#slots.splice(0)) {
      worker.terminate()
      running?.fail(stopping())
    }
  }

  #idle(): Slot {
    const idle = this.#slots.find(({ running }) => running === undefined)
    if (idle !== undefined) return idle
    const { threadsMax } = this.#settings
    if (this.#slots.length < threadsMax) return this.#start()
    throw new CinderError('resource_exhausted', `all ${threadsMax} job threads are busy`, { retryAfterMs: 1000 })
  }

  #start(): Slot {
    const worker = (this.#deps.startThread ?? startJobThread)()
    const name = `jobs-${++this.#started}`
    const slot: Slot = { name, worker, running: undefined, jobs: 0, isWatched: false }
    worker.onmessage = ({ data }: MessageEvent<ThreadReply>) => this.#replied(slot, data)
    worker.onerror = (event: ErrorEvent) => this.#died(slot, event.message)
    // One that ends without an error would leave its job running for ever, with its lease renewed.
    worker.addEventListener('close', () => this.#died(slot, 'it has ended'))
    const { storageUrl } = this.#settings
    this.#slots.push(slot)
    tell(slot, { kind: 'settings', settings: { storageUrl, name } })
    return slot
  }

  /** One timer a thread: it ends one that had no job since the timer was set, so after one to two times as long. */
  #watchIdle(slot: Slot): void {
    if (slot.isWatched || slot.running !== undefined || !this.#slots.includes(slot)) return
    slot.isWatched = true
    const { jobs } = slot
    this.#later(IDLE_ENDS_MS, () => {
      slot.isWatched = false
      if (slot.jobs === jobs && slot.running === undefined) this.#end(slot)
      else this.#watchIdle(slot)
    })
  }

  #end(slot: Slot): void {
    const index = this.#slots.indexOf(slot)
    if (index < 0) return
    this.#slots.splice(index, 1)
    slot.worker.terminate()
  }

  #later(delayMs: number, run: () => void): void {
    const later = this.#deps.later ?? laterUnheld
    later(delayMs, run)
  }

  #replied(slot: Slot, reply: ThreadReply): void {
    const { running } = slot
    if (reply.kind === 'calls') this.#deps.onStoreCalls?.(reply.calls)
    else if (reply.kind === 'done') running?.done(reply.outputs)
    else if (reply.kind === 'failed') running?.fail(unpackError(reply.error))
    else if (reply.kind === 'totals-fault') running?.onTotalsFault?.(reply.reason)
    else if (running?.progress !== undefined) {
      running.progress.progress = reply.progress
      running.progress.usedBytes = reply.usedBytes
    }
  }

  #cancel(slot: Slot, running: RunningJob): void {
    if (slot.running !== running) return
    tell(slot, { kind: 'cancel' })
    this.#later(HANGS_AFTER_MS, () => {
      if (slot.running === running) this.#died(slot, 'it does not end a job that was cancelled')
    })
  }

  #died(slot: Slot, why: string): void {
    if (!this.#slots.includes(slot)) return
    this.#end(slot)
    const { jobId } = slot.running ?? {}
    this.#deps.log.error('job thread replaced', { thread: slot.name, why, ...(jobId === undefined ? {} : { jobId }) })
    slot.running?.fail(lost(`job thread died: ${why}`))
  }
}

function tell({ worker }: Slot, question: ThreadQuestion): void {
  worker.postMessage(question, [])
}

/** A process may end before. */
function laterUnheld(delayMs: number, run: () => void): void {
  setTimeout(run, delayMs).unref()
}

/** Without being told it has the environment with which the process began: credentials may have come later. */
function startJobThread(): Worker {
  return new Worker(new URL('./job-thread.ts', import.meta.url).href, {
    env: { ...process.env } as Record<string, string>,
  })
}

function lost(message: string): JobFailure {
  return new JobFailure({ failure: 'error', culprits: [] }, message, { kind: 'internal', reason: 'job_thread' })
}

function stopping(): CinderError {
  return new CinderError('unavailable', 'the worker is stopping')
}
