/**
 * What a job thread does with the messages of its worker: it runs whole jobs, with a store of its own, and answers each
 * with the outputs or with what failed.
 *
 * 1. Settings open the store; a job that comes meanwhile waits for it, and fails if it cannot be opened.
 * 2. A job is read, merged and written here (run-job.ts). Groups are merged one after the other; between them the thread
 *    looks at its messages and its requests, at most every `PAUSE_EVERY_MS`.
 * 3. What was read for a merge is given back right after it.
 * 4. Progress and the calls of the store are told when there is something to tell, of a merge four times a second: the
 *    loop that hears of it answers pushes, and has better to do.
 * Between jobs it holds the symbols of the services it merged last, within the bounds of `MergeMemory`.
 */
import { MergeMemory } from '#core/compaction/service-symbols.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Codec } from '#core/ports/codec.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { Random } from '#core/ports/random.ts'
import type { CompactionJob } from '#core/rpc/metastore.ts'
import { MIB } from '#core/units.ts'
import { type EndedCall, watchStore } from '#platform/metrics/metered-store.ts'
import { type MergeTask, type MergeTaskResult, runMergeTask } from './merge-task.ts'
import { type JobProgress, runJob, SYMBOL_BYTES_MAX } from './run-job.ts'
import { packError, type ThreadQuestion, type ThreadReply, type ThreadSettings } from './thread-messages.ts'

/** 20 ms: a cancelled job ends soon, and an answer of the store is not taken for lost. */
const PAUSE_EVERY_MS = 20
/** A merge makes some 5 MB meanwhile. */
const LOOK_EVERY_MS = 20
/** Some 200 bytes each; the usual job has ten. */
const CALLS_HELD_MAX = 256
/** Less is not worth a message. */
const USED_BYTES_TOLD_MIN = 4 * MIB
/** People look at it, and a poll tells it every few seconds. */
const PROGRESS_TOLD_EVERY_MS = 250

export interface ThreadHostDeps {
  readonly openStore: (settings: ThreadSettings) => Promise<ObjectStore>
  readonly codec: Codec
  readonly clock: Clock
  readonly random: Random
  readonly post: (reply: ThreadReply) => void
  /** Lets what waits in the loop of this thread happen. */
  readonly pause: () => Promise<void>
  /** If the heap has grown enough. Looking takes some 20 us. */
  readonly collectIfGrown: () => void
}

/** Takes the messages, one after the other. */
export function createThreadHost(deps: ThreadHostDeps): (question: ThreadQuestion) => void {
  let host: JobHost | undefined
  return (question) => {
    if (question.kind === 'settings') host = new JobHost(deps, question.settings)
    else if (question.kind === 'cancel') host?.cancel()
    else void host?.run(question.job, question.symbolBytesMax ?? SYMBOL_BYTES_MAX)
  }
}

class JobHost {
  readonly #deps: ThreadHostDeps
  readonly #settings: ThreadSettings
  readonly #memory = new MergeMemory()
  #store: Promise<ObjectStore> | undefined
  #cancel = new AbortController()
  #calls: EndedCall[] = []
  #told: JobProgress = { progress: 0, usedBytes: 0 }
  #pausedMs = 0
  #toldMs = 0
  #lookedMs = 0

  constructor(deps: ThreadHostDeps, settings: ThreadSettings) {
    this.#deps = deps
    this.#settings = settings
  }

  cancel(): void {
    this.#cancel.abort()
  }

  async run(job: CompactionJob, symbolBytesMax: number): Promise<void> {
    const { clock, random, post } = this.#deps
    const { signal } = (this.#cancel = new AbortController())
    const progress = { progress: 0, usedBytes: 0 }
    this.#told = { ...progress }
    try {
      const store = await this.#open()
      const merger = { merge: (task: MergeTask) => this.#merge(task, progress, signal) }
      const onTotalsFault = (reason: string): void => post({ kind: 'totals-fault', reason })
      const options = { signal, progress, symbolBytesMax, onTotalsFault }
      const outputs = await runJob({ store, clock, random, merger }, job, options)
      this.#tellCalls()
      post({ kind: 'done', outputs })
    } catch (error) {
      this.#tellCalls()
      post({ kind: 'failed', error: packError(error) })
    }
  }

  async #open(): Promise<ObjectStore> {
    this.#store ??= this.#deps.openStore(this.#settings).then((store) => watchStore(store, (call) => this.#ended(call)))
    try {
      return await this.#store
    } catch (error) {
      // The next job tries again.
      this.#store = undefined
      throw error
    }
  }

  async #merge(task: MergeTask, progress: JobProgress, signal: AbortSignal): Promise<MergeTaskResult> {
    this.#tellProgress(progress)
    try {
      const onShare = (at: number, share: number): void => {
        task.onShare?.(at, share)
        const nowMs = this.#deps.clock.nowMs()
        this.#look(nowMs)
        this.#tellShare(progress, nowMs)
      }
      return await this.#mergeGroups({ ...task, onShare }, signal)
    } finally {
      freeRegions(task)
    }
  }

  async #mergeGroups(task: MergeTask, signal: AbortSignal): Promise<MergeTaskResult> {
    const { codec, pause } = this.#deps
    const datasets: MergeTaskResult['datasets'][number][] = []
    const totalsFaults: string[] = []
    for (const [at, group] of task.groups.entries()) {
      const nowMs = this.#deps.clock.nowMs()
      // Also when the clock was set back.
      if (Math.abs(nowMs - this.#pausedMs) >= PAUSE_EVERY_MS) {
        this.#pausedMs = nowMs
        await pause()
        if (signal.aborted) break
      }
      const onShare = (_: number, share: number): void => task.onShare?.(at, share)
      const merged = runMergeTask({ ...task, groups: [group], onShare }, codec, this.#memory)
      datasets.push(...merged.datasets)
      totalsFaults.push(...merged.totalsFaults)
    }
    return { datasets, totalsFaults }
  }

  #ended(call: EndedCall): void {
    this.#calls.push(call)
    if (this.#calls.length >= CALLS_HELD_MAX) this.#tellCalls()
  }

  #tellCalls(): void {
    if (this.#calls.length === 0) return
    this.#deps.post({ kind: 'calls', calls: this.#calls })
    this.#calls = []
  }

  /** A group may be a whole service of several MB, and nothing else of this thread runs while it is merged. */
  #look(nowMs: number): void {
    if (Math.abs(nowMs - this.#lookedMs) < LOOK_EVERY_MS) return
    this.#lookedMs = nowMs
    this.#deps.collectIfGrown()
  }

  #tellShare(progress: JobProgress, nowMs: number): void {
    if (Math.abs(nowMs - this.#toldMs) < PROGRESS_TOLD_EVERY_MS) return
    this.#toldMs = nowMs
    this.#tellProgress(progress)
  }

  #tellProgress({ progress, usedBytes }: JobProgress): void {
    const moved = Math.abs(usedBytes - this.#told.usedBytes)
    if (progress === this.#told.progress && moved < USED_BYTES_TOLD_MIN) return
    this.#told = { progress, usedBytes }
    this.#deps.post({ kind: 'progress', progress, usedBytes })
  }
}

/** At once, not when the collector comes by: outputs are written next, and take as much again. Regions of a read share its buffer. */
function freeRegions({ groups }: MergeTask): void {
  const buffers = new Set(groups.flatMap(({ inputs }) => inputs.map(({ region }) => region.buffer as ArrayBuffer)))
  for (const buffer of buffers) buffer.transfer(0)
}
