/**
 * The metastore in memory: the semantics of core/rpc/metastore.ts without a database, true enough to pass the contract
 * suite. Its statements are in metastore-twin/, one file a family, over one state.
 *
 * Nothing happens by itself: planning and the taking of expired leases are levers, or the caller's planner; a poll that
 * may wait needs a clock. Without a clock the database's time stands still, and the levers end graces and backoffs.
 */
import { checkJobTerms } from '../../apps/metastore/validate.ts'
import { planSegmentJobs } from '#core/compaction/plan.ts'
import { SEGMENT_COMPACTION_POLICY } from '#core/compaction/policy.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Metastore, PollJobsRequest } from '#core/rpc/metastore.ts'
import * as jobs from './metastore-twin/jobs.ts'
import * as planning from './metastore-twin/planning.ts'
import * as segments from './metastore-twin/segments.ts'
import { TwinState, type TwinOptions } from './metastore-twin/state.ts'
import { claimTombstones, confirmDeleted } from './metastore-twin/tombstones.ts'

export interface MemoryMetastore extends Metastore {
  readonly failuresMax: number
  /** What the tables hold: for planners and for invariants. */
  readonly state: TwinState
  /** Jobs became claimable: polls that wait look again. */
  wake(): void
  plan(): void
  expireJobLeases(): void
  endBackoff(): void
  endGrace(): void
  retireDataset(objectId: string, index: number): void
  liveObjectIds(): string[]
  parkedJobIds(): string[]
}

export function createMemoryMetastore(clock?: Clock, options: TwinOptions = {}): MemoryMetastore {
  const nowMs = clock === undefined ? {} : { nowMs: () => clock.nowMs() }
  return new MemoryMetastoreTwin(new TwinState({ ...nowMs, ...options }), clock)
}

/** A lease that nobody else asks for: the levers plan alone. */
const LEVER_LEASE = { name: 'planning', holder: 'lever', ttlMs: Number.POSITIVE_INFINITY }

class MemoryMetastoreTwin implements MemoryMetastore {
  readonly state: TwinState
  readonly #clock: Clock | undefined
  #jobsMade = Promise.withResolvers<void>()

  constructor(state: TwinState, clock: Clock | undefined) {
    this.state = state
    this.#clock = clock
  }

  get failuresMax(): number {
    return this.state.jobPolicy.failuresMax
  }

  async commitSegment(request: Parameters<Metastore['commitSegment']>[0]): ReturnType<Metastore['commitSegment']> {
    return segments.commitSegment(this.state, request)
  }

  async pollJobs(request: PollJobsRequest): ReturnType<Metastore['pollJobs']> {
    const { state } = this
    const { workerId, capacity, running, failed, released, waitMs } = request
    checkJobTerms([...running, ...failed, ...released])
    jobs.noteWorker(state, workerId, running.length, request.worker)
    jobs.failJobs(state, failed, workerId)
    if (jobs.releaseJobs(state, released, workerId) > 0) this.wake()
    if (request.holdsNoOther === true && jobs.releaseUnheard(state, running, workerId) > 0) this.wake()
    const lost = jobs.renewJobs(state, running, workerId)
    const untilMs = state.nowMs() + waitMs
    for (;;) {
      const claimed = jobs.claimJobs(state, workerId, capacity)
      const remainingMs = untilMs - state.nowMs()
      const mayWait = claimed.length === 0 && lost.length === 0 && capacity > 0 && remainingMs > 0
      if (!mayWait || this.#clock === undefined) return { jobs: claimed, lost }
      const answered = new AbortController()
      await Promise.race([this.#jobsMade.promise, this.#clock.sleep(remainingMs, answered.signal)])
      answered.abort()
    }
  }

  async commitCompaction(
    request: Parameters<Metastore['commitCompaction']>[0],
  ): ReturnType<Metastore['commitCompaction']> {
    return jobs.commitCompaction(this.state, request)
  }

  async planQuery(request: Parameters<Metastore['planQuery']>[0]): ReturnType<Metastore['planQuery']> {
    return segments.planQuery(this.state, request)
  }

  async labelSets(request: Parameters<Metastore['labelSets']>[0]): ReturnType<Metastore['labelSets']> {
    return segments.selectLabelSets(this.state, request)
  }

  async tenantStats({ tenants }: Parameters<Metastore['tenantStats']>[0]): ReturnType<Metastore['tenantStats']> {
    return segments.tenantStats(this.state, tenants)
  }

  async claimTombstones({
    holder,
    limit,
  }: Parameters<Metastore['claimTombstones']>[0]): ReturnType<Metastore['claimTombstones']> {
    return { tombstones: claimTombstones(this.state, holder, limit) }
  }

  async confirmDeleted({
    holder,
    deleted,
  }: Parameters<Metastore['confirmDeleted']>[0]): ReturnType<Metastore['confirmDeleted']> {
    return { forgotten: confirmDeleted(this.state, holder, deleted) }
  }

  wake(): void {
    this.#jobsMade.resolve()
    this.#jobsMade = Promise.withResolvers()
  }

  plan(): void {
    const { state } = this
    const known = state.leases.get(LEVER_LEASE.name)
    const term = planning.acquireLease(state, { ...LEVER_LEASE, epoch: known?.epoch })
    if (term === undefined) throw new Error('another planner holds the lease')
    const policy = { ...SEGMENT_COMPACTION_POLICY, triggerAgeMs: 0 }
    const planned = planSegmentJobs(planning.waitingSegments(state), policy, state.nowMs())
    planning.insertSegmentJobs(state, planned, term)
    this.wake()
  }

  expireJobLeases(): void {
    jobs.failExpiredJobs(this.state, true)
  }

  endBackoff(): void {
    for (const job of this.state.jobs.values()) job.notBeforeMs = 0
  }

  endGrace(): void {
    for (const tombstone of this.state.tombstones.values()) Object.assign(tombstone, { dueAtMs: 0, expiresAtMs: 0 })
  }

  retireDataset(objectId: string, index: number): void {
    this.state.retireDataset(objectId, index)
  }

  liveObjectIds(): string[] {
    return [...this.state.objects.keys()].filter((objectId) => this.state.isLive(objectId))
  }

  parkedJobIds(): string[] {
    return [...this.state.jobs.values()].filter(({ state }) => state === 'parked').map(({ jobId }) => jobId)
  }
}
