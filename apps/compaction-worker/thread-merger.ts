/**
 * Runs merge tasks in worker threads, so that a merge of seconds never holds the thread that answers pushes and
 * queries. Threads start with the first task and stay; a thread that dies fails its task and is replaced.
 */
import { CinderError } from '#core/errors.ts'
import type { MergeTask, MergeTaskResult } from './merge-task.ts'
import type { Merger } from './run-job.ts'

export interface ThreadQuestion {
  readonly id: number
  readonly task: MergeTask
}

export interface ThreadAnswer {
  readonly id: number
  readonly result?: MergeTaskResult
  readonly error?: string
}

interface Slot {
  worker: Worker
  /** Settles the task that runs in this thread. */
  settle: ((answer: ThreadAnswer) => void) | undefined
}

/** At most `threadsMax` tasks run at once; the compaction worker's capacity keeps more from arriving. */
export function createThreadMerger(threadsMax: number): Merger {
  const slots: Slot[] = []
  let nextId = 1
  const start = (): Slot => {
    const worker = new Worker(new URL('./merge-thread.ts', import.meta.url).href)
    const slot: Slot = { worker, settle: undefined }
    worker.onmessage = (event: MessageEvent<ThreadAnswer>) => slot.settle?.(event.data)
    worker.onerror = (event: ErrorEvent) => {
      slots.splice(slots.indexOf(slot), 1)
      worker.terminate()
      slot.settle?.({ id: 0, error: `merge thread died: ${event.message}` })
    }
    slots.push(slot)
    return slot
  }
  return {
    async merge(task) {
      const idle = slots.find((slot) => slot.settle === undefined) ?? (slots.length < threadsMax ? start() : undefined)
      if (idle === undefined)
        throw new CinderError('resource_exhausted', `all ${threadsMax} merge threads are busy`, { retryAfterMs: 1000 })
      const id = nextId++
      const owned = { ...task, sources: task.sources.map(({ source, bytes }) => ({ source, bytes: ownBuffer(bytes) })) }
      const answer = await new Promise<ThreadAnswer>((resolve) => {
        idle.settle = resolve
        const question: ThreadQuestion = { id, task: owned }
        idle.worker.postMessage(
          question,
          owned.sources.map(({ bytes }) => bytes.buffer as ArrayBuffer),
        )
      })
      idle.settle = undefined
      if (answer.result === undefined) throw new CinderError('internal', answer.error ?? 'merge failed')
      return answer.result
    },
    async stop() {
      for (const slot of slots.splice(0)) {
        slot.worker.terminate()
        slot.settle?.({ id: 0, error: 'the worker is stopping' })
      }
    },
  }
}

/** Bytes alone in their buffer, as a transfer needs them: small reads come as views of a shared pool. */
function ownBuffer(bytes: Uint8Array): Uint8Array {
  return bytes.byteOffset === 0 && bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice()
}
