/**
 * Sends a second copy of a request when the first takes too long, and takes whichever answers first
 * (core/store/hedge-policy.ts says when, and how often at most). The other is canceled.
 *
 * Ranges, heads and puts of whole objects: a copy of a put writes the same bytes to the same key. Not put-if-absent, which
 * would meet itself; not parts, whose tags may differ between copies; not whole gets, whose size is not known, so that a
 * large one would look like a stall; not the cold calls.
 */
import { CinderError } from '#core/errors.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { ObjectStore, StoreCallOptions } from '#core/ports/object-store.ts'
import { HedgeBudget, HedgeDelay, READ_HEDGE, WRITE_HEDGE } from '#core/store/hedge-policy.ts'
import { SLOW_DOWN_REASON } from '#core/store/retry-policy.ts'
import { aroundStore, type StoreCall } from './around.ts'

const HEDGED: readonly StoreCall['name'][] = ['put', 'getRange', 'head']

export interface HedgingStats {
  /** Second copies sent. */
  readonly hedges: number
  /** Second copies that answered first. */
  readonly wins: number
}

export interface HedgingStore extends ObjectStore {
  readonly hedging: HedgingStats
}

export function hedgingStore(inner: ObjectStore, { clock }: { readonly clock: Clock }): HedgingStore {
  const stats = { hedges: 0, wins: 0 }
  const budget = new HedgeBudget()
  const reads = new HedgeDelay(READ_HEDGE)
  const writes = new HedgeDelay(WRITE_HEDGE)
  const around = async <T>(call: StoreCall, run: (options: StoreCallOptions) => Promise<T>): Promise<T> => {
    if (!HEDGED.includes(call.name)) return run({})
    budget.onRequest()
    const delay = call.isWrite ? writes : reads
    const startedMs = clock.nowMs()
    const race = new Race(run, call.signal)
    const timer = new AbortController()
    const first = race.start()
    const waited = clock.sleep(delay.delayMs(call.sizeBytes), timer.signal).then(() => 'late' as const)
    try {
      const early = await Promise.race([first, waited])
      if (early === 'late' && !race.isOver && call.signal?.aborted !== true && budget.take()) {
        stats.hedges++
        race.start()
      }
      const { value, winner } = await race.result
      if (winner === 1) stats.wins++
      delay.onAnswer(clock.nowMs() - startedMs, call.sizeBytes)
      return value
    } catch (error) {
      if (error instanceof CinderError && error.reason === SLOW_DOWN_REASON) budget.onSlowDown()
      throw error
    } finally {
      timer.abort()
      race.end()
    }
  }
  return { ...aroundStore(inner, around), hedging: stats }
}

/** Copies of one request: the first success wins; it fails when every copy that was started has failed. */
class Race<T> {
  readonly #run: (options: StoreCallOptions) => Promise<T>
  readonly #outer: AbortSignal | undefined
  readonly #result = Promise.withResolvers<{ value: T; winner: number }>()
  readonly #copies: AbortController[] = []
  readonly #onAbort = () => this.#abortAll()
  #failed = 0
  #firstError: unknown
  isOver = false

  constructor(run: (options: StoreCallOptions) => Promise<T>, outer: AbortSignal | undefined) {
    this.#run = run
    this.#outer = outer
    this.#result.promise.catch(() => undefined)
    outer?.addEventListener('abort', this.#onAbort)
  }

  get result(): Promise<{ value: T; winner: number }> {
    return this.#result.promise
  }

  /** Resolves when this copy is done with, either way. */
  async start(): Promise<void> {
    const copy = new AbortController()
    const at = this.#copies.push(copy) - 1
    if (this.#outer?.aborted === true) copy.abort()
    try {
      const value = await this.#run({ signal: copy.signal })
      this.isOver = true
      this.#result.resolve({ value, winner: at })
    } catch (error) {
      this.#firstError ??= error
      if (++this.#failed < this.#copies.length) return
      this.isOver = true
      this.#result.reject(this.#firstError)
    }
  }

  /** Cancels what still runs. */
  end(): void {
    this.#outer?.removeEventListener('abort', this.#onAbort)
    this.#abortAll()
  }

  #abortAll(): void {
    for (const copy of this.#copies) copy.abort()
  }
}
