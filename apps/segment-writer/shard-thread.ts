/**
 * The worker thread of a shard: a `LocalShard` behind messages. Questions are carried out in order and to their end; the
 * writer keeps them short (thread-shard.ts).
 */
import { labelsFromPairs } from '#core/labels/labels.ts'
import { createClock } from '#platform/clock.ts'
import { createCodec } from '#platform/codec.ts'
import { createDigest } from '#platform/digest.ts'
import type { TakeAnswer, TakenProfile } from './head-shard.ts'
import { LocalShard } from './local-shard.ts'
import {
  packTaken,
  type TakeOrder,
  type ThreadFault,
  type ThreadQuestion,
  type ThreadReply,
  type ThreadSettings,
} from './thread-messages.ts'
import { WriterAccount } from './writer-account.ts'

declare const self: Worker

function createShard({ account, ...settings }: ThreadSettings): LocalShard {
  const deps = { codec: createCodec(), digest: createDigest(), clock: createClock(), rates: undefined }
  // Nobody here waits for a turn but the next question.
  const shard = { ...settings, encodeTurnMs: Number.POSITIVE_INFINITY }
  return new LocalShard({ ...deps, account: new WriterAccount(account) }, shard)
}

/** Answers to takes that have not been sent. */
class Answers {
  #taken: { id: number; answer: TakenProfile }[] = []
  #others: { id: number; answer: TakeAnswer }[] = []
  #faults: ThreadFault[] = []

  add(id: number, take: () => TakeAnswer): void {
    try {
      const answer = take()
      if (answer.kind === 'taken') this.#taken.push({ id, answer })
      else this.#others.push({ id, answer })
    } catch (error) {
      this.#faults.push(faultOf(id, error))
    }
  }

  send(isLast: boolean): void {
    const packed = packTaken(this.#taken)
    post({ kind: 'taken', isLast, taken: packed, others: this.#others, faults: this.#faults })
    this.#taken = []
    this.#others = []
    this.#faults = []
  }
}

function runQuestion(shard: LocalShard, question: ThreadQuestion): void {
  const answers = new Answers()
  for (const order of question.orders) {
    if (order.kind === 'take') answers.add(order.id, () => shard.takeNow(inputOf(order, question)))
    else if (order.kind === 'settled') shard.settled(order.batch, order.isCommitted, order.labelEpoch)
    else if (order.kind === 'forget') shard.forget(order.request)
    else {
      // What was taken before is answered before.
      answers.send(false)
      void encode(shard, order)
    }
  }
  answers.send(true)
}

async function encode(shard: LocalShard, { id, batch }: { id: number; batch: number }): Promise<void> {
  try {
    const results = await shard.encode(batch)
    const buffers = results.flatMap((result) =>
      result.kind === 'encoded' ? [result.encoded.bytes, result.profileIds, result.profileOrdinal] : [],
    )
    const transfer = new Set(buffers.map(({ buffer }) => buffer as ArrayBuffer))
    post({ kind: 'encoded', id, results }, [...transfer])
  } catch (error) {
    post({ kind: 'fault', fault: faultOf(id, error) })
  }
}

function inputOf(order: TakeOrder, { bodies, limits }: ThreadQuestion): Parameters<LocalShard['take']>[0] {
  return {
    ...order,
    labels: labelsFromPairs(order.labels),
    profile: { bytes: bodies.subarray(order.start, order.end), clientId: order.clientId },
    limits: limits[order.limits]!,
  }
}

function faultOf(id: number, error: unknown): ThreadFault {
  return { id, message: error instanceof Error ? error.message : String(error) }
}

function post(reply: ThreadReply, transfer: ArrayBuffer[] = []): void {
  self.postMessage(reply, transfer)
}

let shard: LocalShard | undefined

self.onmessage = (event: MessageEvent<ThreadSettings | ThreadQuestion>) => {
  if ('orders' in event.data) runQuestion(shard!, event.data)
  else shard = createShard(event.data)
}
