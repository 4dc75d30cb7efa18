/**
 * Several query-backends as one. A call goes to the backend that owns its first object (core/query/plan-owners.ts), so
 * that caches hit; the split of the plan keeps objects of one owner together.
 *
 * 1. A call that fails as retryable is tried at the next backend, three times in all (core/query/plan-attempts.ts).
 * 2. A call that takes too long, by what such calls took lately, is sent to a second backend, within a budget
 *    (core/store/hedge-policy.ts); the first answer counts, and the other call is ended.
 * 3. Backends that gave no answer are passed over for a while.
 *
 * Each call has the deadline of its client. It must not try anything again that its caller has given up.
 */
import { CinderError } from '#core/errors.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Random } from '#core/ports/random.ts'
import { BackendHealth, decideCall, isBackendsFault } from '#core/query/plan-attempts.ts'
import { costOfPlan, type ReadKind } from '#core/query/plan-cost.ts'
import { Owners } from '#core/query/plan-owners.ts'
import type { SourceObject } from '#core/rpc/metastore.ts'
import type { QueryBackend } from '#core/rpc/query-backend.ts'
import { type HedgeBounds, HedgeBudget, HedgeDelay } from '#core/store/hedge-policy.ts'
import { RetryBudget } from '#core/store/retry-policy.ts'
import { MS_PER_SECOND } from '#core/units.ts'

export interface NamedBackend {
  /** Its address: what its share of the objects follows from. */
  readonly name: string
  readonly backend: QueryBackend
}

export interface SpreadDeps {
  readonly clock: Clock
  readonly random: Random
  readonly on?: { readonly retry?: (name: string) => void; readonly hedge?: (name: string) => void }
}

export interface SpreadBackend extends QueryBackend {
  ownerOf(objectId: string): string
}

/** A call reads tens of MiB from a store whose own reads are hedged after a second: below 100 ms nothing is late. */
const CALL_HEDGE: HedgeBounds = { initialMs: 2 * MS_PER_SECOND, leastMs: 100, mostMs: 10 * MS_PER_SECOND }

interface Call<Answer> {
  readonly run: (backend: QueryBackend, signal: AbortSignal) => Promise<Answer>
  readonly hedge: HedgeDelay
  readonly sizeBytes: number
  readonly signal: AbortSignal | undefined
}

export function createSpreadBackend(backends: readonly NamedBackend[], deps: SpreadDeps): SpreadBackend {
  const spread = new Spread(backends, deps)
  const delays = {
    stacktraces: new HedgeDelay(CALL_HEDGE),
    mergeProfile: new HedgeDelay(CALL_HEDGE),
    timeSeries: new HedgeDelay(CALL_HEDGE),
    points: new HedgeDelay(CALL_HEDGE),
  }
  const call = <Answer>(
    objects: readonly SourceObject[],
    reads: ReadKind,
    asked: Omit<Call<Answer>, 'sizeBytes'>,
  ): Promise<Answer> => spread.call(objects, { ...asked, sizeBytes: costOfPlan(objects, reads).bytes })
  return {
    ownerOf: (objectId) => spread.ownerOf(objectId),
    stacktraces: (request, signal) =>
      call(request.objects, 'samples', {
        run: (backend, ended) => backend.stacktraces(request, ended),
        hedge: delays.stacktraces,
        signal,
      }),
    mergeProfile: (request, signal) =>
      call(request.objects, 'samples', {
        run: (backend, ended) => backend.mergeProfile(request, ended),
        hedge: delays.mergeProfile,
        signal,
      }),
    timeSeries: (request, signal) =>
      call(request.objects, (request.callSite ?? []).length > 0 || request.frames !== undefined ? 'samples' : 'heads', {
        run: (backend, ended) => backend.timeSeries(request, ended),
        hedge: delays.timeSeries,
        signal,
      }),
    points: (request, signal) =>
      call(request.objects, request.spans ? 'samples' : 'ids', {
        run: (backend, ended) => backend.points(request, ended),
        hedge: delays.points,
        signal,
      }),
  }
}

type Outcome<Answer> =
  | { readonly kind: 'answer'; readonly backend: number; readonly answer: Answer }
  | { readonly kind: 'failure'; readonly backend: number; readonly error: unknown }

class Spread {
  readonly #backends: readonly NamedBackend[]
  readonly #names: readonly string[]
  readonly #owners: Owners
  readonly #deps: SpreadDeps
  readonly #health: BackendHealth
  readonly #retries = new RetryBudget()
  readonly #hedges = new HedgeBudget()

  constructor(backends: readonly NamedBackend[], deps: SpreadDeps) {
    this.#backends = backends
    this.#names = backends.map(({ name }) => name)
    this.#owners = new Owners(this.#names)
    this.#deps = deps
    this.#health = new BackendHealth(backends.length)
  }

  ownerOf(objectId: string): string {
    return this.#names[this.#owners.first(objectId)]!
  }

  async call<Answer>(objects: readonly SourceObject[], call: Call<Answer>): Promise<Answer> {
    const { clock, random, on } = this.#deps
    const ranked = this.#owners.rank(objects[0]?.objectId ?? '')
    const asked = new Set<number>()
    for (let attempt = 1; ; attempt++) {
      const order = this.#health.order(ranked, clock.nowMs())
      const [first, second] = [...order.filter((each) => !asked.has(each)), ...order.filter((each) => asked.has(each))]
      asked.add(first!)
      const outcome = await this.#attempt(call, first!, second === first ? undefined : second)
      if (outcome.kind === 'answer') {
        this.#retries.onSuccess()
        return outcome.answer
      }
      asked.add(outcome.backend)
      const { error } = outcome
      if (!(error instanceof CinderError) || isGone(call.signal)) throw error
      const hasOther = asked.size < this.#backends.length
      const { kind, retryAfterMs } = error
      const failed = { kind, retryAfterMs, attempt, hasOther }
      const decision = decideCall(failed, this.#retries, random.bytes(1)[0]! / 256)
      if (decision.kind === 'give-up') throw error
      on?.retry?.(this.#names[outcome.backend]!)
      if (decision.afterMs > 0) await clock.sleep(decision.afterMs, call.signal)
      if (isGone(call.signal)) throw error
    }
  }

  /** One backend, and a second one if the first is late. */
  async #attempt<Answer>(call: Call<Answer>, first: number, second: number | undefined): Promise<Outcome<Answer>> {
    const ending = new AbortController()
    const signal = call.signal === undefined ? ending.signal : AbortSignal.any([call.signal, ending.signal])
    this.#hedges.onRequest()
    const primary = this.#run(call, first, signal)
    if (second === undefined) return primary
    try {
      const late = Symbol('late')
      const sleeping = this.#deps.clock.sleep(call.hedge.delayMs(call.sizeBytes), signal).then(() => late)
      const early = await Promise.race([primary, sleeping])
      if (typeof early !== 'symbol') return early
      if (signal.aborted || !this.#hedges.take()) return await primary
      this.#deps.on?.hedge?.(this.#names[second]!)
      const outcome = await firstAnswer([primary, this.#run(call, second, signal)])
      if (outcome.kind === 'answer' && outcome.backend === second) {
        this.#health.onOvertaken(first, this.#deps.clock.nowMs())
      }
      return outcome
    } finally {
      ending.abort()
    }
  }

  async #run<Answer>(call: Call<Answer>, backend: number, signal: AbortSignal): Promise<Outcome<Answer>> {
    const { clock } = this.#deps
    const startedMs = clock.nowMs()
    try {
      const answer = await call.run(this.#backends[backend]!.backend, signal)
      this.#health.onAnswer(backend)
      call.hedge.onAnswer(clock.nowMs() - startedMs, call.sizeBytes)
      return { kind: 'answer', backend, answer }
    } catch (error) {
      // One that was ended by us says nothing of the backend.
      if (error instanceof CinderError && isBackendsFault(error.kind) && !signal.aborted) {
        this.#health.onFailure(backend, clock.nowMs())
      }
      return { kind: 'failure', backend, error }
    }
  }
}

function isGone(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true
}

/** The first answer, or the first failure that another try would not mend; else the first of the failures. */
async function firstAnswer<Answer>(runs: readonly Promise<Outcome<Answer>>[]): Promise<Outcome<Answer>> {
  const isFinal = (outcome: Outcome<Answer>): boolean =>
    outcome.kind === 'answer' || !(outcome.error instanceof CinderError) || !isBackendsFault(outcome.error.kind)
  const outcome = await Promise.race(runs)
  if (isFinal(outcome)) return outcome
  const others = await Promise.all(runs)
  return others.find(isFinal) ?? outcome
}
