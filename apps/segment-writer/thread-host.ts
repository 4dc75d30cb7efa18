/**
 * What runs in the thread of a shard, whatever carries its messages: a `LocalShard` behind questions. They are carried out
 * in order and to their end; the writer keeps them short (thread-shard.ts).
 */
import { labelsFromPairs } from '#core/labels/labels.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Codec } from '#core/ports/codec.ts'
import type { Digest } from '#core/ports/digest.ts'
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

export interface ThreadHostDeps {
  readonly codec: Codec
  readonly digest: Digest
  readonly clock: Clock
  /** The buffers go with it. */
  readonly post: (reply: ThreadReply, transfer: ArrayBuffer[]) => void
}

/** Takes the messages of one thread, the settings first. */
export function createThreadHost(deps: ThreadHostDeps): (message: ThreadSettings | ThreadQuestion) => void {
  let host: ThreadHost | undefined
  return (message) => {
    if ('orders' in message) host!.run(message)
    else host = new ThreadHost(deps, message)
  }
}

class ThreadHost {
  readonly #shard: LocalShard
  readonly #post: ThreadHostDeps['post']

  constructor({ codec, digest, clock, post }: ThreadHostDeps, { account, ...settings }: ThreadSettings) {
    const deps = { codec, digest, clock, rates: undefined, account: new WriterAccount(account) }
    // Nobody here waits for a turn but the next question.
    this.#shard = new LocalShard(deps, { ...settings, encodeTurnMs: Number.POSITIVE_INFINITY })
    this.#post = post
  }

  run(question: ThreadQuestion): void {
    const answers = new Answers(this.#post)
    const shard = this.#shard
    for (const order of question.orders) {
      if (order.kind === 'take') answers.add(order.id, () => shard.takeNow(inputOf(order, question)))
      else if (order.kind === 'settled') shard.settled(order.batch, order.isCommitted, order.labelEpoch)
      else if (order.kind === 'forget') shard.forget(order.request)
      else {
        // What was taken before is answered before.
        answers.send(false)
        void this.#encode(order)
      }
    }
    answers.send(true)
  }

  async #encode({ id, batch }: { id: number; batch: number }): Promise<void> {
    try {
      const results = await this.#shard.encode(batch)
      const buffers = results.flatMap((result) =>
        result.kind === 'encoded' ? [result.encoded.bytes, result.profileIds, result.profileOrdinal] : [],
      )
      const transfer = new Set(buffers.map(({ buffer }) => buffer as ArrayBuffer))
      this.#post({ kind: 'encoded', id, results }, [...transfer])
    } catch (error) {
      this.#post({ kind: 'fault', fault: faultOf(id, error) }, [])
    }
  }
}

/** Answers to takes that have not been sent. */
class Answers {
  readonly #post: ThreadHostDeps['post']
  #taken: { id: number; answer: TakenProfile }[] = []
  #others: { id: number; answer: TakeAnswer }[] = []
  #faults: ThreadFault[] = []

  constructor(post: ThreadHostDeps['post']) {
    this.#post = post
  }

  add(id: number, take: () => TakeAnswer): void {
    try {
      const answer = take()
      if (answer.kind === 'taken' && answer.renamedTo === undefined) this.#taken.push({ id, answer })
      else this.#others.push({ id, answer })
    } catch (error) {
      this.#faults.push(faultOf(id, error))
    }
  }

  send(isLast: boolean): void {
    const packed = packTaken(this.#taken)
    this.#post({ kind: 'taken', isLast, taken: packed, others: this.#others, faults: this.#faults }, [])
    this.#taken = []
    this.#others = []
    this.#faults = []
  }
}

function inputOf(order: TakeOrder, { bodies, limits }: ThreadQuestion): Parameters<LocalShard['take']>[0] {
  const { ingest, dictionary: at } = order
  // It is kept longer than the message.
  const dictionary = at && bodies.slice(at.start, at.end)
  return {
    ...order,
    ingest: ingest && dictionary ? { ...ingest, dictionary } : ingest,
    labels: labelsFromPairs(order.labels),
    profile: { bytes: bodies.subarray(order.start, order.end), clientId: order.clientId },
    limits: limits[order.limits]!,
  }
}

function faultOf(id: number, error: unknown): ThreadFault {
  return { id, message: error instanceof Error ? error.message : String(error) }
}
