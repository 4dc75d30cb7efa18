/**
 * A shard in a thread of its own, so that the thread that answers HTTP never holds a decode.
 *
 * 1. Orders wait here in their order. While the thread has fewer than `QUESTIONS_MAX` questions to answer, what waits goes
 *    out as one message: alone when the thread is idle, many together when it is busy.
 * 2. Takes are answered before what follows them, so a batch knows all its profiles before it is encoded.
 * 3. A thread that dies fails what it was asked as retryable, and gives its memory back; what waits here goes to the next
 *    one, which starts with the next order and numbers its heads elsewhere. Heads that died are found missing by the flush.
 * 4. What waits here for a client that has left is dropped when its turn comes.
 * 5. A thread that hangs is one that died: what it was asked is looked at every `SILENT_TICK_MS`, and after some ticks
 *    without a word from it another takes its place.
 * Memory: what waits counts by its bytes, and past the writer's bound it is refused here; the thread counts the rest in the
 * same account, and refuses too. Rates are kept here, over all threads: by the size that a gzip says it has, corrected
 * by the size it had.
 */
import { CinderError } from '#core/errors.ts'
import { labelsToPairs } from '#core/labels/labels.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import type { IngestForm } from '#core/rpc/segment-writer.ts'
import { threadLost } from './flusher.ts'
import type { HeadResult, HeadShard, TakeAnswer, TakeInput } from './head-shard.ts'
import { boundOf, goneAnswer, memoryFull } from './local-shard.ts'
import type { TenantRates } from './tenant-rates.ts'
import { type ThreadReply, unpackTaken } from './thread-messages.ts'
import { goneCount, HeldDictionaries, ORDERS_MAX, QuestionMaker, type WaitingOrder } from './thread-question.ts'
import { rejectedVerdict } from './verdicts.ts'
import type { WriterAccount } from './writer-account.ts'

/** One that is worked on and one behind it, so that the thread need not wait for us. */
const QUESTIONS_MAX = 2
/** Held by a profile that waits besides its bytes: promises, labels, the order. */
const WAITING_OVERHEAD_BYTES = 2_048
/** A question is some 30 ms of work, and a flush of 5,000 services a second or two: three ticks are no load. */
const SILENT_TICK_MS = 10_000
/** More than one: in a process that was stopped itself for a while the next tick is due before any answer is heard. */
const SILENT_TICKS_MAX = 3
/** Heads of one thread's life; a batch has 16,384 at most. */
const HEADS_PER_LIFE = 2 ** 32

export interface ThreadShardDeps {
  readonly account: WriterAccount
  readonly rates: TenantRates
  readonly clock: Clock
  readonly log: Log
  /** A test's way to the thread. */
  readonly startThread?: (() => Worker) | undefined
}

export interface ThreadShardSettings {
  readonly index: number
  readonly count: number
  readonly memoryBytesMax: number
  readonly dictionariesBytesMax: number
}

interface Pending {
  readonly answer: (answer: TakeAnswer | readonly HeadResult[]) => void
  readonly fail: (error: Error) => void
  /** The thread is gone. */
  readonly lose: () => void
  isSent: boolean
}

export class ThreadShard implements HeadShard {
  readonly #deps: ThreadShardDeps
  readonly #settings: ThreadShardSettings
  #worker: Worker | undefined
  #lives = 0
  #nextId = 1
  /** Bounded by the writer's memory: what waits is counted. */
  #waiting: WaitingOrder[] = []
  readonly #maker = new QuestionMaker()
  readonly #dictionaries: HeldDictionaries
  readonly #pending = new Map<number, Pending>()
  #questions = 0
  /** Grows with every reply, and when an idle thread is asked: who is silent is known by it. */
  #heard = 0
  /** Aborted when the thread is gone; undefined while nobody watches. */
  #watching: AbortController | undefined
  #isStopped = false

  constructor(deps: ThreadShardDeps, settings: ThreadShardSettings) {
    this.#deps = deps
    this.#settings = settings
    this.#dictionaries = new HeldDictionaries((bytes) => deps.account.add(settings.index, 'waiting', bytes))
  }

  take(input: TakeInput): TakeAnswer | Promise<TakeAnswer> {
    const { account, rates } = this.#deps
    const { profile, tenant, nowMs } = input
    const waitingBytes = profile.bytes.length + WAITING_OVERHEAD_BYTES
    const full = this.#isStopped
      ? threadLost()
      : memoryFull(
          account.bytesOf('pushes') + account.bytesOf('waiting') + waitingBytes,
          boundOf(this.#settings.memoryBytesMax, input),
        )
    if (full !== undefined) return { kind: 'verdict', verdict: rejectedVerdict(full, 0), isShed: true }
    const saidBytes = inflatedBytes(profile.bytes, input.limits.maxProfileSizeBytes)
    try {
      rates.take(tenant, saidBytes, nowMs)
    } catch (error) {
      if (!(error instanceof CinderError)) throw error
      return { kind: 'verdict', verdict: rejectedVerdict(error, saidBytes), isShed: false }
    }
    const { promise, resolve, reject } = Promise.withResolvers<TakeAnswer>()
    const { index } = this.#settings
    account.add(index, 'waiting', waitingBytes)
    const { dictionary, ...form } = input.ingest ?? {}
    const letGo = this.#dictionaries.hold(dictionary)
    const done = (): void => {
      account.add(index, 'waiting', -waitingBytes)
      letGo()
    }
    const id = this.#register({
      answer: (answer) => {
        done()
        rates.correct(tenant, decompressedBytesOf(answer as TakeAnswer) - saidBytes, nowMs)
        resolve(answer as TakeAnswer)
      },
      fail: (error) => {
        done()
        reject(error)
      },
      lose: () => {
        done()
        resolve({ kind: 'verdict', verdict: rejectedVerdict(threadLost(), 0), isShed: false })
      },
    })
    const { batch, request, pushId, limits, policy, mayUseReserve, isGone } = input
    const labels = labelsToPairs(input.labels)
    const { bytes, clientId } = profile
    this.#order({
      kind: 'take',
      id,
      batch,
      request,
      tenant,
      labels,
      ingest: input.ingest && (form as IngestForm),
      dictionary,
      clientId,
      pushId,
      bytes,
      limits,
      policy,
      mayUseReserve,
      nowMs,
      isGone,
    })
    return promise
  }

  encode(batch: number): Promise<readonly HeadResult[]> {
    const { promise, resolve, reject } = Promise.withResolvers<readonly HeadResult[]>()
    const answer: Pending['answer'] = (results) => resolve(results as readonly HeadResult[])
    const id = this.#register({ answer, fail: reject, lose: () => reject(threadLost()) })
    this.#order({ kind: 'encode', id, batch })
    return promise
  }

  settled(batch: number, isCommitted: boolean, labelEpoch?: number): void {
    this.#order({ kind: 'settled', batch, isCommitted, labelEpoch })
  }

  forget(request: number): void {
    this.#order({ kind: 'forget', request })
  }

  /** Everything was settled before; what is not is lost. */
  stop(): void {
    this.#isStopped = true
    const worker = this.#worker
    this.#waiting = []
    this.#lose(() => true)
    worker?.terminate()
  }

  #register(pending: Omit<Pending, 'isSent'>): number {
    const id = this.#nextId++
    this.#pending.set(id, { ...pending, isSent: false })
    return id
  }

  #order(order: WaitingOrder): void {
    if (this.#isStopped) return
    // Alone the others wake nobody: they go with what comes next. But a dictionary is memory.
    const isHeld = order.kind === 'forget' && this.#maker.holdsOf(order.request)
    const isUrgent = order.kind === 'take' || order.kind === 'encode' || isHeld
    this.#waiting.push(order)
    if (isUrgent || this.#waiting.length >= ORDERS_MAX || order.kind === 'settled') this.#send()
  }

  #send(): void {
    while (this.#questions < QUESTIONS_MAX) {
      this.#dropGone()
      if (this.#waiting.length === 0) return
      const question = this.#maker.next(this.#waiting)
      for (const order of question.orders) if ('id' in order) this.#pending.get(order.id)!.isSent = true
      if (this.#questions++ === 0) this.#heard++
      try {
        const worker = this.#thread()
        worker.postMessage(question, [question.bodies.buffer as ArrayBuffer])
        void this.#watch(worker)
      } catch (error) {
        // No thread to be had, or one that the question does not reach.
        this.#end(String(error))
      }
    }
  }

  /** What waits for a client that has left is not read. */
  #dropGone(): void {
    for (const order of this.#waiting.splice(0, goneCount(this.#waiting))) {
      if ('id' in order) this.#settle(order.id, (pending) => pending.answer(goneAnswer()))
    }
  }

  #thread(): Worker {
    if (this.#worker !== undefined) return this.#worker
    const { account, startThread = startShardThread } = this.#deps
    const worker = startThread()
    this.#worker = worker
    worker.onmessage = (event: MessageEvent<ThreadReply>) => {
      if (worker === this.#worker) this.#replied(event.data)
    }
    worker.onerror = (event: ErrorEvent) => this.#died(worker, event.message)
    worker.addEventListener('close', () => this.#died(worker, 'it has ended'))
    const firstHead = HEADS_PER_LIFE * this.#lives++
    worker.postMessage({ ...this.#settings, firstHead, account: account.buffers }, [])
    return worker
  }

  /** Until nothing is asked any more, or the thread is gone. One watch at a time. */
  async #watch(worker: Worker): Promise<void> {
    if (this.#watching !== undefined) return
    const watching = new AbortController()
    this.#watching = watching
    let heard = this.#heard
    for (let silentTicks = 0; silentTicks < SILENT_TICKS_MAX; ) {
      await this.#deps.clock.sleep(SILENT_TICK_MS, watching.signal)
      if (watching.signal.aborted) return
      // What is settled or forgotten has no answer of its own; unheard, it keeps its memory, and all that comes behind it.
      if (this.#questions === 0 && ![...this.#pending.values()].some(({ isSent }) => isSent)) {
        this.#watching = undefined
        return
      }
      silentTicks = heard === this.#heard ? silentTicks + 1 : 0
      heard = this.#heard
    }
    this.#died(worker, `it hangs: no word for ${SILENT_TICKS_MAX * SILENT_TICK_MS} ms`)
  }

  #replied(reply: ThreadReply): void {
    this.#heard++
    if (reply.kind === 'encoded') this.#settle(reply.id, (pending) => pending.answer(reply.results))
    else if (reply.kind === 'fault') this.#fail(reply.fault)
    else {
      for (const { id, answer } of unpackTaken(reply.taken)) this.#settle(id, (pending) => pending.answer(answer))
      for (const { id, answer } of reply.others) this.#settle(id, (pending) => pending.answer(answer))
      for (const fault of reply.faults) this.#fail(fault)
      if (!reply.isLast) return
      this.#questions--
      this.#send()
    }
  }

  #fail({ id, message }: { id: number; message: string }): void {
    this.#settle(id, (pending) => pending.fail(new Error(message)))
  }

  #settle(id: number, settle: (pending: Pending) => void): void {
    const pending = this.#pending.get(id)
    if (pending === undefined) return
    this.#pending.delete(id)
    settle(pending)
  }

  #died(worker: Worker, why: string): void {
    if (worker !== this.#worker) return
    this.#end(why)
    this.#send()
  }

  #end(why: string): void {
    this.#deps.log.error('writer thread died', { shard: this.#settings.index, message: why })
    this.#worker?.terminate()
    this.#lose(({ isSent }) => isSent)
  }

  #lose(isLost: (pending: Pending) => boolean): void {
    this.#worker = undefined
    this.#maker.restart()
    this.#watching?.abort()
    this.#watching = undefined
    this.#questions = 0
    this.#deps.account.clear(this.#settings.index)
    for (const [id, pending] of this.#pending) {
      if (!isLost(pending)) continue
      this.#pending.delete(id)
      pending.lose()
    }
  }
}

function startShardThread(): Worker {
  return new Worker(new URL('./shard-thread.ts', import.meta.url).href)
}

function decompressedBytesOf(answer: TakeAnswer): number {
  return answer.kind === 'taken' ? answer.size.decompressedBytes : answer.verdict.decompressedBytes
}

/** What the last member of a gzip says of its size, at most `limitBytes` (0 = any); otherwise the bytes as they are. */
function inflatedBytes(bytes: Uint8Array, limitBytes: number): number {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b || bytes.length < 18) return bytes.length
  const said = new DataView(bytes.buffer, bytes.byteOffset + bytes.length - 4, 4).getUint32(0, true)
  return Math.max(bytes.length, limitBytes === 0 ? said : Math.min(said, limitBytes))
}
