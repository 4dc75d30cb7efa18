/**
 * A writer's place among the writers: it registers with a lease and renews it, with what it takes in by tenant and service,
 * from which the metastore makes the placement table.
 *
 * 1. Renewed three times a lease. Without an answer it is tried again every second, and said once: the writer goes on
 *    accepting, and edges go on with the table that they have.
 * 2. A registration that is not known any more is begun anew at once. One that another process took over is left to it, for
 *    two leases: two that share an address share the slots.
 * 3. It hears what its tenants bring to other writers, by which their limits are divided (tenant-rates.ts); not in the ten
 *    seconds after its lease had run out.
 * 4. `leave` says that the writer is about to go: edges ask it last from then on. `stop` takes it out of the table. One whose
 *    place is another's says nothing: it would take the place over, and out of the table with it.
 *
 * It must not hold up a start, a push or a stop: whatever it asks of the metastore has a bound.
 */
import { CinderError } from '#core/errors.ts'
import type { MeteredRates } from '#core/placement/rate-meter.ts'
import { WRITER_LEASE_MS_DEFAULT } from '#core/placement/rate-meter.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import type { PlacementService } from '#core/rpc/placement.ts'
import { MS_PER_SECOND } from '#core/units.ts'
import type { Registry } from '#platform/metrics/registry.ts'
import type { Part } from '#platform/service.ts'
import type { TenantRates } from './tenant-rates.ts'

export interface RegistrationDeps {
  readonly placement: Pick<PlacementService, 'registerWriter' | 'deregisterWriter'>
  readonly clock: Clock
  readonly log: Log
  /** Since the last time it was asked. */
  readonly readRates: (nowMs: number) => MeteredRates
  /** Told with every renewal, and answered by what others tell. Default: none. */
  readonly tenantRates?: Pick<TenantRates, 'readDemands' | 'adopt'> | undefined
  /** Of this process life. */
  readonly instanceId: string
}

/** A place among the writers. */
export interface WriterPlace {
  readonly writerId: string
  readonly address: string
}

export interface RegistrationStatus {
  readonly state: 'idle' | 'serving' | 'leaving' | 'gone'
  /** The lease is held, as far as this process knows. */
  readonly isRegistered: boolean
  readonly epoch: number
  readonly generation: number
}

export interface Registration extends Part {
  /** Begins, once the address is known; does not wait. */
  start(place: WriterPlace): void
  /** Resolves when it is published, or has waited long enough. */
  leave(): Promise<void>
  status(): RegistrationStatus
}

const RENEW_MS = WRITER_LEASE_MS_DEFAULT / 3
const RETRY_MS = MS_PER_SECOND
const SUPERSEDED_MS = 2 * WRITER_LEASE_MS_DEFAULT
/** Of a stop that has five seconds for everything: a metastore that is away must not eat what the last flush needs. */
export const LEAVE_WAIT_MS = 400
/**
 * Since a lease was held again that had run out. With a metastore that was away those of all had: what it sums first leaves
 * out who has not come back, so others are believed only when each had a beat to tell, and a pass had one to sum.
 */
const OTHERS_BELIEVED_MS = 2 * RENEW_MS
/** Of one call: a metastore that is silent is asked again before the lease is over. */
export const REGISTER_DEADLINE_MS = 3 * MS_PER_SECOND
const DEREGISTER_WAIT_MS = 400

export function createRegistration(deps: RegistrationDeps): Registration {
  return new WriterRegistration(deps)
}

export function addRegistrationMetrics(registry: Registry, status: () => RegistrationStatus): void {
  const registered = registry.gauge('cinder_writer_registered', 'Whether the writer holds its place among the writers.')
  const leaving = registry.gauge('cinder_writer_leaving', 'Whether the writer has said that it leaves.')
  registry.collect(() => {
    const { isRegistered, state } = status()
    registered.set(Number(isRegistered))
    leaving.set(Number(state === 'leaving'))
  })
}

class WriterRegistration implements Registration {
  readonly name = 'registration'
  readonly #deps: RegistrationDeps
  #place: WriterPlace | undefined
  #state: RegistrationStatus['state'] = 'idle'
  #epoch = 0
  #generation = 0
  #leaseUntilMs = 0
  #wasHeld = false
  /** When the lease was held again after it had run out, or was lost. */
  #resumedMs = Number.NEGATIVE_INFINITY
  #isFailing = false
  /** Another process has the place, as far as this one knows. */
  #isSuperseded = false
  readonly #stopping = new AbortController()
  #asking: Promise<unknown> = Promise.resolve()

  constructor(deps: RegistrationDeps) {
    this.#deps = deps
  }

  start(place: WriterPlace): void {
    if (this.#state !== 'idle') return
    this.#place = place
    this.#state = 'serving'
    void this.#renewAlways()
  }

  async leave(): Promise<void> {
    if (this.#state !== 'serving') return
    this.#state = 'leaving'
    // A renewal that is under way says `serving` and must not come after this one.
    this.#asking = this.#asking.then(() => this.#renew())
    await this.#within(LEAVE_WAIT_MS, this.#asking)
  }

  async stop(): Promise<void> {
    const wasPlaced = this.#state === 'serving' || this.#state === 'leaving'
    this.#state = 'gone'
    this.#stopping.abort()
    if (wasPlaced && this.#epoch > 0)
      await this.#within(
        DEREGISTER_WAIT_MS,
        this.#asking.then(() => this.#deregister()),
      )
  }

  status(): RegistrationStatus {
    const isRegistered = this.#state !== 'gone' && this.#deps.clock.nowMs() < this.#leaseUntilMs
    return { state: this.#state, isRegistered, epoch: this.#epoch, generation: this.#generation }
  }

  async #renewAlways(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      await this.#asking
      const asking = this.#renew()
      this.#asking = asking
      const waitMs = await asking
      await this.#deps.clock.sleep(waitMs, signal)
    }
  }

  /** Never fails. How long to wait for the next one. */
  async #renew(): Promise<number> {
    const { placement, clock, log, instanceId, readRates, tenantRates } = this.#deps
    const startedMs = clock.nowMs()
    const { writerId, address } = this.#place!
    if (this.#state === 'gone') return RENEW_MS
    const state = this.#state === 'leaving' ? 'leaving' : 'serving'
    if (state === 'leaving' && this.#isSuperseded) return RENEW_MS
    const ttlMs = WRITER_LEASE_MS_DEFAULT
    try {
      const term = { writerId, instanceId, epoch: this.#epoch, address, state, ttlMs }
      const demands = tenantRates?.readDemands(startedMs) ?? []
      const answer = await placement.registerWriter({ ...term, ...readRates(startedMs), demands })
      this.#isFailing = false
      this.#generation = answer.generation
      if (answer.verdict === 'registered') {
        if (this.#epoch !== answer.epoch) log.info('writer registered', { writerId, address, epoch: answer.epoch })
        this.#epoch = answer.epoch
        this.#isSuperseded = false
        if (this.#wasHeld && startedMs >= this.#leaseUntilMs) this.#resumedMs = startedMs
        this.#wasHeld = true
        this.#leaseUntilMs = startedMs + ttlMs
        // The clock may have been set back since.
        if (Math.abs(startedMs - this.#resumedMs) >= OTHERS_BELIEVED_MS) tenantRates?.adopt(answer.others?.tenants)
        return RENEW_MS
      }
      const { verdict } = answer
      const wasKnown = this.#epoch > 0
      this.#isSuperseded = verdict === 'superseded'
      this.#epoch = 0
      this.#leaseUntilMs = 0
      log.warn('writer registration is lost', { writerId, address, verdict })
      if (verdict === 'superseded') return SUPERSEDED_MS
      return wasKnown ? 0 : RETRY_MS
    } catch (error) {
      if (!this.#isFailing) log.warn('writer cannot register, and goes on accepting', { writerId, address, error })
      this.#isFailing = true
      // A metastore of the release before this one knows no writers: it will be replaced, but not within seconds. With a
      // lease from another replica, that one is who should be met again.
      const isOld = error instanceof CinderError && error.kind === 'unimplemented'
      return isOld && this.#epoch === 0 ? RENEW_MS : RETRY_MS
    }
  }

  async #deregister(): Promise<void> {
    const { placement, log, instanceId } = this.#deps
    const { writerId } = this.#place!
    try {
      await placement.deregisterWriter({ writerId, instanceId, epoch: this.#epoch })
    } catch (error) {
      log.warn('writer cannot deregister: its lease runs out', { writerId, error })
    }
  }

  async #within(boundMs: number, work: Promise<unknown>): Promise<void> {
    const over = new AbortController()
    await Promise.race([work, this.#deps.clock.sleep(boundMs, over.signal)])
    over.abort()
  }
}
