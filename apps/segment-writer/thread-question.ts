/**
 * Orders that wait for a thread as one message: their bodies one after another in one buffer, limits each once, and the
 * dictionary of a request of OpenTelemetry with the first of its profiles that this thread gets.
 *
 * Must not: hold a dictionary longer than the orders that need it; the thread keeps its own until the request is over.
 */
import type { TenantLimits } from '#core/limits/limits.ts'
import type { TakeOrder, ThreadOrder, ThreadQuestion } from './thread-messages.ts'

/** 64 profiles are 30 ms: answers, and a flush, wait no longer than that for what was asked together. */
export const ORDERS_MAX = 64
/** Likewise for large profiles: 1 MiB of gzip is as much work as 64 small ones. */
const BODIES_BYTES_MAX = 1024 * 1024

export type WaitingTake = Omit<TakeOrder, 'start' | 'end' | 'limits' | 'dictionary'> & {
  readonly bytes: Uint8Array
  readonly limits: TenantLimits
  readonly dictionary: Uint8Array | undefined
  readonly isGone?: (() => boolean) | undefined
}

export type WaitingOrder = WaitingTake | Exclude<ThreadOrder, TakeOrder>

export class QuestionMaker {
  /** By request: what the thread has. */
  #sent = new Map<number, Uint8Array>()

  /** Of another thread, which has nothing. */
  restart(): void {
    this.#sent.clear()
  }

  /** True if the thread holds a dictionary of this request. */
  holdsOf(request: number): boolean {
    return this.#sent.has(request)
  }

  /** Takes the first of what waits, at least one. */
  next(waiting: WaitingOrder[]): ThreadQuestion {
    const { count, bodyBytes, withDictionary } = this.#choose(waiting)
    const bodies = new Uint8Array(bodyBytes)
    const limits: TenantLimits[] = []
    let at = 0
    const put = (bytes: Uint8Array): { start: number; end: number } => {
      const start = at
      bodies.set(bytes, start)
      at += bytes.length
      return { start, end: at }
    }
    const orders = waiting.splice(0, count).map((order): ThreadOrder => {
      if (order.kind !== 'take') return order
      const { bytes, limits: own, dictionary, isGone: _, ...rest } = order
      if (!limits.includes(own)) limits.push(own)
      const taken = { ...rest, ...put(bytes), limits: limits.indexOf(own) }
      return withDictionary.has(order) ? { ...taken, dictionary: put(dictionary!) } : taken
    })
    return { orders, bodies, limits }
  }

  #choose(waiting: readonly WaitingOrder[]) {
    const withDictionary = new Set<WaitingOrder>()
    let count = 0
    let bodyBytes = 0
    for (const order of waiting) {
      if (order.kind === 'take') {
        const { request, bytes, dictionary } = order
        const isNew = dictionary !== undefined && this.#sent.get(request) !== dictionary
        const neededBytes = bytes.length + (isNew ? dictionary.length : 0)
        if (bodyBytes > 0 && bodyBytes + neededBytes > BODIES_BYTES_MAX) break
        bodyBytes += neededBytes
        if (isNew) {
          withDictionary.add(order)
          this.#sent.set(request, dictionary)
        }
      } else if (order.kind === 'forget') this.#sent.delete(order.request)
      if (++count === ORDERS_MAX) break
    }
    return { count, bodyBytes, withDictionary }
  }
}

/** How many at the head of what waits are of clients that have left. */
export function goneCount(waiting: readonly WaitingOrder[]): number {
  let count = 0
  while (count < waiting.length && isGone(waiting[count]!)) count++
  return count
}

function isGone(order: WaitingOrder): boolean {
  return order.kind === 'take' && order.isGone?.() === true
}

/** Dictionaries that pending profiles hold, each counted once. */
export class HeldDictionaries {
  readonly #holders = new Map<Uint8Array, number>()
  readonly #account: (bytes: number) => void

  constructor(account: (bytes: number) => void) {
    this.#account = account
  }

  /** Returns what lets go of it. */
  hold(dictionary: Uint8Array | undefined): () => void {
    if (dictionary === undefined) return () => undefined
    const holders = this.#holders.get(dictionary) ?? 0
    if (holders === 0) this.#account(dictionary.length)
    this.#holders.set(dictionary, holders + 1)
    return () => this.#release(dictionary)
  }

  #release(dictionary: Uint8Array): void {
    const holders = this.#holders.get(dictionary)! - 1
    if (holders > 0) {
      this.#holders.set(dictionary, holders)
      return
    }
    this.#holders.delete(dictionary)
    this.#account(-dictionary.length)
  }
}
