/**
 * The door to the query-backends: a query enters when core/query/admission.ts says so, and tells when it leaves.
 *
 * Who waits too long, or finds the queue full, is told when to come back; who goes while waiting is forgotten at once.
 */
import { CinderError } from '#core/errors.ts'
import type { Clock } from '#core/ports/clock.ts'
import { type AdmissionPolicy, AdmissionQueue } from '#core/query/admission.ts'
import { MS_PER_SECOND } from '#core/units.ts'

/** Told to a client: a second, and a tenth of one for each that waits before it, up to half a minute. */
const RETRY_BASE_MS = MS_PER_SECOND
const RETRY_PER_WAITING_MS = 100
const RETRY_MAX_MS = 30 * MS_PER_SECOND

export interface EnteringQuery {
  /** Of several: joined by `|`, which no id of a tenant holds. */
  readonly tenant: string
  /** What it may read. */
  readonly bytes: number
  /** Of that, by the calls that run at once. */
  readonly atOnceBytes: number
}

export class AdmissionGate {
  readonly #queue: AdmissionQueue
  readonly #policy: AdmissionPolicy
  readonly #clock: Clock
  readonly #entering = new Map<object, () => void>()

  constructor(policy: AdmissionPolicy, clock: Clock) {
    this.#policy = policy
    this.#queue = new AdmissionQueue(policy)
    this.#clock = clock
  }

  get status(): AdmissionQueue['status'] {
    return this.#queue.status
  }

  /** Resolves when the query may run, with what it calls when it has ended. */
  async enter({ tenant, bytes, atOnceBytes }: EnteringQuery, signal: AbortSignal): Promise<() => void> {
    const key = {}
    const memoryBytes = Math.ceil(atOnceBytes * this.#policy.memoryPerByte)
    const answer = this.#queue.ask(key, { tenants: tenant.split('|'), cost: { bytes, memoryBytes } })
    const leave = () => this.#admit(this.#queue.leave(key))
    if (answer.kind === 'run') return leave
    if (answer.kind === 'refused') throw this.#refused(answer)
    const entered = new Promise<void>((resolve) => {
      this.#entering.set(key, resolve)
    })
    const done = new AbortController()
    const { waitMaxMs } = this.#policy
    const late = this.#clock.sleep(waitMaxMs, AbortSignal.any([signal, done.signal])).then(() => 'late' as const)
    const outcome = await Promise.race([entered, late])
    done.abort()
    // Of both at once the entrance counts: it would never be given back.
    if (outcome !== 'late' || !this.#entering.delete(key)) {
      if (!signal.aborted) return leave
      leave()
      throw givenUp()
    }
    leave()
    if (signal.aborted) throw givenUp()
    throw new CinderError(
      'unavailable',
      `the query has waited for others for ${waitMaxMs} ms, the limit: try again, or ask for less at once`,
      { reason: 'query_queue', retryAfterMs: this.#retryAfterMs() },
    )
  }

  #admit(keys: readonly object[]): void {
    for (const key of keys) {
      const enter = this.#entering.get(key)
      this.#entering.delete(key)
      enter?.()
    }
  }

  #refused(answer: { readonly limit: 'queue' | 'tenant'; readonly waiting: number; readonly allowed: number }) {
    const { limit, waiting, allowed } = answer
    const { light, heavy } = this.#queue.status
    const whose = limit === 'tenant' ? ' of this tenant' : ''
    return new CinderError(
      limit === 'tenant' ? 'resource_exhausted' : 'unavailable',
      `${light.running + heavy.running} queries run and ${waiting}${whose} wait, ${allowed} may wait: ` +
        'try again later, or ask for less at once',
      { reason: 'query_queue', retryAfterMs: this.#retryAfterMs() },
    )
  }

  #retryAfterMs(): number {
    const { light, heavy } = this.#queue.status
    return Math.min(RETRY_MAX_MS, RETRY_BASE_MS + RETRY_PER_WAITING_MS * (light.waiting + heavy.waiting))
  }
}

function givenUp(): CinderError {
  return new CinderError('canceled', 'the query was given up by its caller')
}
