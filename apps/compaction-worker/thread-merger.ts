/**
 * Runs merge tasks in worker threads, so that a merge of seconds never holds the thread that answers pushes and
 * queries. Threads start with the first task and stay; a thread that dies fails its task and is replaced.
 */
import type { ObjectDataset } from '#core/block/write.ts'
import { CinderError, type ErrorKind } from '#core/errors.ts'
import { type Blame, JobFailure } from './job-failure.ts'
import type { MergeTask, MergeTaskResult } from './merge-task.ts'
import type { Merger } from './run-job.ts'

export interface ThreadQuestion {
  readonly id: number
  readonly task: MergeTask
}

/** An error's fields, because a clone of an error loses its class and what we added to it. */
export interface ThreadError extends Blame {
  readonly kind: ErrorKind
  readonly reason: string
  readonly message: string
  readonly bad: readonly ObjectDataset[]
}

export type ThreadAnswer = { readonly id: number } & (
  | { readonly result: MergeTaskResult }
  | { readonly error: ThreadError }
)

interface Slot {
  worker: Worker
  /** Settles the task that runs in this thread. */
  settle: ((answer: ThreadAnswer) => void) | undefined
}

/**
 * The regions' buffers go to the thread and are gone here: each must hold nothing else. At most `threadsMax` tasks run at once; the compaction worker's capacity keeps more from arriving.
 */
export function createThreadMerger(threadsMax: number, startThread = startMergeThread): Merger {
  const slots: Slot[] = []
  let nextId = 1
  let isStopped = false
  const start = (): Slot => {
    const worker = startThread()
    const slot: Slot = { worker, settle: undefined }
    worker.onmessage = (event: MessageEvent<ThreadAnswer>) => slot.settle?.(event.data)
    const died = (why: string): void => {
      if (slots.includes(slot)) slots.splice(slots.indexOf(slot), 1)
      worker.terminate()
      slot.settle?.(failure(`merge thread died: ${why}`))
    }
    worker.onerror = (event: ErrorEvent) => died(event.message)
    // One that ends without an error would leave its job running for ever, with its lease renewed.
    worker.addEventListener('close', () => died('it has ended'))
    slots.push(slot)
    return slot
  }
  return {
    async merge(task) {
      if (isStopped) throw new CinderError('unavailable', 'the worker is stopping')
      const idle = slots.find((slot) => slot.settle === undefined) ?? (slots.length < threadsMax ? start() : undefined)
      if (idle === undefined)
        throw new CinderError('resource_exhausted', `all ${threadsMax} merge threads are busy`, { retryAfterMs: 1000 })
      const id = nextId++
      const answer = await ask(idle, { id, task })
      if ('result' in answer) return answer.result
      const { kind, reason, message, bad, ...blamed } = answer.error
      throw new JobFailure(blamed, message, { kind, reason, bad })
    },
    async stop() {
      isStopped = true
      for (const slot of slots.splice(0)) {
        slot.worker.terminate()
        slot.settle?.(failure('the worker is stopping'))
      }
    },
  }
}

function startMergeThread(): Worker {
  return new Worker(new URL('./merge-thread.ts', import.meta.url).href)
}

async function ask(slot: Slot, question: ThreadQuestion): Promise<ThreadAnswer> {
  const { promise, resolve } = Promise.withResolvers<ThreadAnswer>()
  slot.settle = resolve
  // Regions of one read share its buffer.
  const buffers = new Set<ArrayBuffer>()
  for (const { inputs } of question.task.groups)
    for (const { region } of inputs) buffers.add(region.buffer as ArrayBuffer)
  try {
    slot.worker.postMessage(question, [...buffers])
    return await promise
  } catch (error) {
    // The runtime refused the message: the thread has not seen it and is free.
    return failure(`merge task not sent: ${String(error)}`)
  } finally {
    slot.settle = undefined
  }
}

function failure(message: string): ThreadAnswer {
  return {
    id: 0,
    error: { kind: 'internal', reason: 'merge_thread', message, failure: 'error', culprits: [], bad: [] },
  }
}
