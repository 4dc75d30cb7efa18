/**
 * A query-backend whose calls are executed in threads, so that a query of any size never holds the loop that answers
 * pushes, plans and other queries. Threads start when they are told to, else with the first call, and stay.
 *
 * 1. A call goes to the thread that its first object names, so that what is cached of an object is cached once; to the
 *    one with the fewest calls where that has `LEAD_MAX` more to do.
 * 2. A thread has `SLOTS` calls at once, so that one merges while others read; what is more waits here, in order.
 * 3. Threads read local files themselves (thread-reads.ts), and ask for other ranges; those are read here and handed over by
 *    transfer.
 * 4. A caller that goes is told so at once; its reads are ended, its flag is set, and its slot is free when the thread has
 *    answered.
 * 5. Beside pushes answers come back at a pace (answer-pace.ts).
 *    Merging and encoding of answers, gzip and label sets from heads are calls too, before those that wait.
 * 6. A thread that dies fails what it was asked as retryable; what waits goes to the next one. One that does not end a call
 *    that nobody waits for any more hangs, and is ended: every query is left at its deadline, and slots would never be free.
 */
import { CinderError } from '#core/errors.ts'
import type { Log } from '#core/ports/log.ts'
import type { AnswerWorker } from '#core/query/answer-task.ts'
import type { LabelReporter } from '#core/rpc/label-report.ts'
import type { QueryBackend } from '#core/rpc/query-backend.ts'
import { MS_PER_SECOND } from '#core/units.ts'
import { hashBytes } from '#core/wire/hash.ts'
import type { EndedCall } from '#platform/metrics/metered-store.ts'
import type { AnswerPace } from './answer-pace.ts'
import type { RangeStore } from './read-objects.ts'
import {
  packError,
  type PackedAnswer,
  type QueryMethod,
  type QueryRequest,
  type ThreadQuestion,
  type ThreadReply,
  type ThreadWork,
  transferOf,
  unpackAnswer,
  unpackBytes,
  unpackError,
  unpackLabels,
} from './thread-messages.ts'

/** Four calls in one thread: one merges, three read. What they hold is bounded by eight objects each. */
const SLOTS = 4
/** Calls that wait for a thread: as many as a frontend has in flight for some 30 queries. */
const WAITING_MAX = 256
/** Calls by which the thread of an object may be behind before another one takes over. */
const LEAD_MAX = 2

/** A call that was left ends within a frame, and a slow one before it takes seconds. */
const HANGS_AFTER_MS = 60 * MS_PER_SECOND

export interface ThreadBackendDeps {
  readonly store: RangeStore
  readonly log: Log
  /** Absent: answers come back at once. */
  readonly pace?: AnswerPace
  /** Reads that a thread has made. */
  readonly onStoreCalls?: (calls: readonly EndedCall[]) => void
  /** A test's ways to the thread and to time. */
  readonly startThread?: () => Worker
  readonly later?: (delayMs: number, run: () => void) => void
}

export interface ThreadBackendSettings {
  /** 1 at least. */
  readonly threads: number
  /** Of all threads together; 0 = none. */
  readonly cacheBytesMax: number
  /** Partial answers are kept too. */
  readonly keepsReports: boolean
  /** Of a store of local files: threads read it themselves. */
  readonly localRoot?: string | undefined
}

export interface ThreadBackend extends QueryBackend, LabelReporter {
  /** Answers that are small enough are merged by who asks. */
  readonly work: AnswerWorker
  gzip(bytes: Uint8Array): Promise<Uint8Array>
  /** Those that do not run yet: 90 ms of CPU each, which the first caller need not wait for. */
  start(): void
  stop(): Promise<void>
}

interface Call {
  readonly method: QueryMethod
  readonly request: QueryRequest
  readonly reads: AbortController
  readonly answer: (answer: PackedAnswer) => void
  readonly fail: (error: Error) => void
  isOver: boolean
}

export function createThreadBackend(deps: ThreadBackendDeps, settings: ThreadBackendSettings): ThreadBackend {
  const threads = Array.from({ length: settings.threads }, (_, index) => new QueryThread(deps, settings, index))
  let isStopped = false

  const run = async (method: QueryMethod, request: QueryRequest, signal: AbortSignal | undefined) => {
    if (isStopped) throw stopping()
    if (signal?.aborted === true) throw gone()
    const idlest = threads.reduce((best, each) => (each.load < best.load ? each : best))
    if (!('objects' in request)) return idlest.run(method, request, signal)
    const preferred = threads[hashText(request.objects[0]?.objectId ?? '') % threads.length]!
    const thread = preferred.load > idlest.load + LEAD_MAX ? idlest : preferred
    return thread.run(method, request, signal)
  }
  const answer = async (method: keyof QueryBackend, request: QueryRequest, signal: AbortSignal | undefined) =>
    unpackAnswer(await run(method, request, signal))
  const work = async (task: ThreadWork, signal?: AbortSignal) => unpackBytes(await run('work', task, signal))
  return {
    stacktraces: (request, signal) => answer('stacktraces', request, signal) as ReturnType<QueryBackend['stacktraces']>,
    mergeProfile: (request, signal) =>
      answer('mergeProfile', request, signal) as ReturnType<QueryBackend['mergeProfile']>,
    timeSeries: (request, signal) => answer('timeSeries', request, signal) as ReturnType<QueryBackend['timeSeries']>,
    points: (request, signal) => answer('points', request, signal) as ReturnType<QueryBackend['points']>,
    labels: async (request, signal) => unpackLabels(await run('labels', request, signal), nextTurn),
    work: { run: work },
    gzip: (bytes) => work({ kind: 'gzip', bytes }),
    start() {
      if (!isStopped) for (const thread of threads) thread.start()
    },
    async stop() {
      isStopped = true
      for (const thread of threads) thread.stop()
    },
  }
}

class QueryThread {
  readonly #deps: ThreadBackendDeps
  readonly #settings: ThreadBackendSettings
  readonly #index: number
  readonly #slots: (Call | undefined)[] = Array.from({ length: SLOTS }, () => undefined)
  #ended = new Int32Array(new SharedArrayBuffer(0))
  #waiting: Call[] = []
  #worker: Worker | undefined

  constructor(deps: ThreadBackendDeps, settings: ThreadBackendSettings, index: number) {
    this.#deps = deps
    this.#settings = settings
    this.#index = index
  }

  /** Calls that run or wait. */
  get load(): number {
    return this.#waiting.length + this.#slots.filter((call) => call !== undefined).length
  }

  async run(method: QueryMethod, request: QueryRequest, signal: AbortSignal | undefined) {
    if (this.#waiting.length >= WAITING_MAX && method !== 'work') {
      const message = `${WAITING_MAX} calls wait for a query thread, the limit`
      throw new CinderError('resource_exhausted', message, { reason: 'query_threads', retryAfterMs: 1_000 })
    }
    const { promise, resolve, reject } = Promise.withResolvers<PackedAnswer>()
    const call: Call = { method, request, reads: new AbortController(), answer: resolve, fail: reject, isOver: false }
    const leave = () => this.#leave(call)
    signal?.addEventListener('abort', leave, { once: true })
    // What ends a query goes first, since it frees what the query holds; behind others of its kind, so that none starves.
    const others = method === 'work' ? this.#waiting.findIndex((each) => each.method !== 'work') : -1
    this.#waiting.splice(others < 0 ? this.#waiting.length : others, 0, call)
    this.#send()
    try {
      return await promise
    } finally {
      signal?.removeEventListener('abort', leave)
    }
  }

  start(): void {
    try {
      this.#thread()
    } catch (error) {
      this.#deps.log.warn('query thread not started', { thread: this.#index, message: String(error) })
    }
  }

  stop(): void {
    this.#waiting.splice(0).forEach((call) => over(call, stopping()))
    this.#slots.forEach((call) => call !== undefined && over(call, stopping()))
    this.#slots.fill(undefined)
    const worker = this.#worker
    this.#worker = undefined
    worker?.terminate()
  }

  #leave(call: Call): void {
    const slot = this.#slots.indexOf(call)
    if (slot >= 0) {
      Atomics.store(this.#ended, slot, 1)
      this.#endIfHung(call, slot)
    }
    this.#waiting = this.#waiting.filter((each) => each !== call)
    over(call, gone())
  }

  #endIfHung(call: Call, slot: number): void {
    const worker = this.#worker
    const later = this.#deps.later ?? laterUnheld
    // A timer that held what was asked would keep a minute of requests.
    const left = new WeakRef(call)
    later(HANGS_AFTER_MS, () => {
      const inSlot = this.#slots[slot]
      if (worker === undefined || inSlot === undefined || inSlot !== left.deref()) return
      this.#died(worker, 'it does not end a call that was left')
    })
  }

  #send(): void {
    for (let slot = this.#slots.indexOf(undefined); slot >= 0; slot = this.#slots.indexOf(undefined)) {
      const call = this.#waiting.shift()
      if (call === undefined) return
      try {
        const worker = this.#thread()
        Atomics.store(this.#ended, slot, 0)
        this.#slots[slot] = call
        const { method, request } = call
        tell(worker, { kind: 'call', slot, method, request }, transferOf(method, request))
      } catch (error) {
        // No thread to be had, or a request that the runtime cannot send: it has not been seen.
        this.#slots[slot] = undefined
        over(call, new CinderError('unavailable', `query thread not reached: ${String(error)}`, { cause: error }))
      }
    }
  }

  #thread(): Worker {
    if (this.#worker !== undefined) return this.#worker
    const worker = (this.#deps.startThread ?? startQueryThread)()
    this.#worker = worker
    worker.onmessage = ({ data }: MessageEvent<ThreadReply>) => {
      if (worker === this.#worker) this.#replied(worker, data)
    }
    worker.onerror = (event: ErrorEvent) => this.#died(worker, event.message)
    worker.addEventListener('close', () => this.#died(worker, 'it has ended'))
    const ended = new SharedArrayBuffer(SLOTS * 4)
    this.#ended = new Int32Array(ended)
    const { cacheBytesMax, keepsReports, threads, localRoot } = this.#settings
    const settings = { ended, cacheBytesMax: Math.floor(cacheBytesMax / threads), keepsReports, localRoot }
    tell(worker, { kind: 'settings', settings })
    return worker
  }

  #replied(worker: Worker, reply: ThreadReply): void {
    const call = this.#slots[reply.slot]
    if (reply.kind === 'read') {
      void this.#read(worker, reply, call)
      return
    }
    const { slot, reads } = reply
    if (reads.length > 0) this.#deps.onStoreCalls?.(reads)
    const settle = (): void => {
      // The thread may have died while its answer waited.
      if (worker !== this.#worker) return
      this.#slots[slot] = undefined
      if (call !== undefined && !call.isOver) {
        call.isOver = true
        if (reply.kind === 'answer') call.answer(reply.answer)
        else call.fail(unpackError(reply.error))
      }
      this.#send()
    }
    const { pace } = this.#deps
    if (pace === undefined || reply.kind === 'failed' || call === undefined || call.isOver) settle()
    else pace.deliver(settle)
  }

  async #read(
    worker: Worker,
    { read, key, offset, lengthBytes }: Extract<ThreadReply, { kind: 'read' }>,
    call: Call | undefined,
  ): Promise<void> {
    try {
      if (call === undefined || call.isOver) throw gone()
      const bytes = await this.#deps.store.getRange(key, offset, lengthBytes, { signal: call.reads.signal })
      if (worker !== this.#worker) return
      // A view of something larger is copied: only what is read may go.
      const own = bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice()
      tell(worker, { kind: 'bytes', read, bytes: own }, [own.buffer as ArrayBuffer])
    } catch (error) {
      if (worker === this.#worker) tell(worker, { kind: 'unread', read, error: packError(error) })
    }
  }

  #died(worker: Worker, why: string): void {
    if (worker !== this.#worker) return
    this.#deps.log.error('query thread died', { thread: this.#index, message: why })
    this.#worker = undefined
    worker.terminate()
    const lost = new CinderError('unavailable', 'a query thread died, ask again', { reason: 'query_thread' })
    for (const call of this.#slots) if (call !== undefined) over(call, lost)
    this.#slots.fill(undefined)
    this.#send()
  }
}

function over(call: Call, why: Error): void {
  if (call.isOver) return
  call.isOver = true
  call.reads.abort()
  call.fail(why)
}

function tell(worker: Worker, question: ThreadQuestion, transfer: ArrayBuffer[] = []): void {
  worker.postMessage(question, transfer)
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}

/** A process may end before. */
function laterUnheld(delayMs: number, run: () => void): void {
  setTimeout(run, delayMs).unref()
}

function startQueryThread(): Worker {
  return new Worker(new URL('./query-thread.ts', import.meta.url).href)
}

const UTF8 = new TextEncoder()

function hashText(text: string): number {
  const bytes = UTF8.encode(text)
  return hashBytes(bytes, 0, bytes.length)
}

function gone(): CinderError {
  return new CinderError('canceled', 'the client has gone')
}

function stopping(): CinderError {
  return new CinderError('unavailable', 'the query-backend is stopping')
}
