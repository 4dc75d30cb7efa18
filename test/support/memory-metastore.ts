/**
 * The metastore in memory: the semantics of core/rpc/metastore.ts without a database, true enough to pass the contract
 * suite. Nothing happens by itself: planning, expiry, backoff and grace are levers, and only a poll that may wait does.
 */
import { checkCompaction, checkJobTerms, checkSegment } from '../../apps/metastore/validate.ts'
import { planSegmentJobs } from '#core/compaction/plan.ts'
import { JOB_QUEUE_POLICY, SEGMENT_COMPACTION_POLICY } from '#core/compaction/policy.ts'
import { labelsFromPairs, labelsToPairs } from '#core/labels/labels.ts'
import type { Clock } from '#core/ports/clock.ts'
import type {
  CommitSegmentRequest,
  CompactionJob,
  DatasetDescriptor,
  DatasetSkips,
  LabelSet,
  Metastore,
  OutputObject,
  PollJobsRequest,
  SourceObject,
} from '#core/rpc/metastore.ts'
import { MS_PER_HOUR } from '#core/units.ts'

interface HeldDataset {
  readonly descriptor: DatasetDescriptor
  readonly skip: number[]
  isLive: boolean
}

interface HeldObject {
  readonly objectId: string
  readonly level: number
  readonly sizeBytes: number
  readonly arrival: number
  readonly datasets: HeldDataset[]
}

interface HeldJob {
  readonly jobId: string
  readonly level: number
  readonly sizeBytes: number
  readonly objectIds: readonly string[]
  state: 'queued' | 'running' | 'done' | 'parked'
  epoch: number
  holder: string
  failures: number
  isBackingOff: boolean
  claimed: HeldDataset[]
  answer: { verdict: string; staleObjectIds: string[] } | undefined
}

interface Tombstone {
  isDue: boolean
  isClaimed: boolean
  holder: string
  epoch: number
}

export interface MemoryMetastore extends Metastore {
  readonly failuresMax: number
  plan(): void
  expireJobLeases(): void
  endBackoff(): void
  endGrace(): void
  retireDataset(objectId: string, index: number): void
  liveObjectIds(): string[]
  parkedJobIds(): string[]
}

export function createMemoryMetastore(clock?: Clock): MemoryMetastore {
  return new MemoryMetastoreTwin(clock)
}

class MemoryMetastoreTwin implements MemoryMetastore {
  readonly failuresMax = JOB_QUEUE_POLICY.failuresMax
  readonly #clock: Clock | undefined
  readonly #objects = new Map<string, HeldObject>()
  /** Every id that was ever given out; with a verdict if it was a segment's. */
  readonly #registered = new Map<string, DatasetSkips[] | undefined>()
  readonly #profileIds = new Set<string>()
  readonly #labelSets = new Map<string, LabelSet>()
  readonly #jobs = new Map<string, HeldJob>()
  readonly #tombstones = new Map<string, Tombstone>()
  readonly #writers = new Map<string, { address: string; epoch: number }>()
  #jobsMade = Promise.withResolvers<void>()
  #count = 0

  constructor(clock: Clock | undefined) {
    this.#clock = clock
  }

  async commitSegment(request: CommitSegmentRequest): ReturnType<Metastore['commitSegment']> {
    checkSegment(request)
    const { objectId, sizeBytes, labelSets } = request
    if (this.#registered.has(objectId)) {
      const skips = this.#registered.get(objectId)
      return skips === undefined ? { verdict: 'refused', skips: [] } : { verdict: 'replayed', skips }
    }
    const held = this.#judge(request)
    const skips = held.flatMap(({ descriptor: { index }, skip }) =>
      skip.length === 0 ? [] : [{ index, positions: skip }],
    )
    this.#registered.set(objectId, skips)
    this.#objects.set(objectId, { objectId, level: 0, sizeBytes, arrival: this.#count++, datasets: held })
    for (const set of labelSets) {
      const pairs = set.pairs.map((text) => text.replaceAll('\0', '\uFFFD'))
      this.#labelSets.set(JSON.stringify([set.tenant, set.windowStartMs, pairs]), { ...set, pairs })
    }
    this.#buryIfDead(objectId)
    return { verdict: 'committed', skips }
  }

  /** First position of an id wins; who lost everything is dead on arrival. */
  #judge({ datasets, profileIds, deduplicate }: CommitSegmentRequest): HeldDataset[] {
    let at = 0
    return datasets.map((descriptor) => {
      const skip: number[] = []
      for (let position = 0; position < descriptor.profileCount; position++, at++) {
        if (deduplicate[at] === 0) continue
        const id = profileIds.subarray(at * 16, at * 16 + 16).join()
        if (this.#profileIds.has(id)) skip.push(position)
        this.#profileIds.add(id)
      }
      return { descriptor: { ...descriptor }, skip, isLive: skip.length < descriptor.profileCount }
    })
  }

  async pollJobs(request: PollJobsRequest): ReturnType<Metastore['pollJobs']> {
    const { workerId, capacity, running, failed, released, waitMs } = request
    checkJobTerms([...running, ...failed, ...released])
    for (const term of failed) {
      const job = this.#runningJob(term, workerId)
      if (job !== undefined) this.#fail(job)
    }
    for (const term of released) {
      const job = this.#runningJob(term, workerId)
      if (job !== undefined) job.state = 'queued'
    }
    if (released.length > 0) this.#wake()
    const lost = running.filter((term) => this.#runningJob(term, workerId) === undefined).map(({ jobId }) => jobId)
    let jobs = this.#claim(workerId, capacity)
    if (jobs.length === 0 && lost.length === 0 && capacity > 0 && waitMs > 0 && this.#clock !== undefined) {
      const answered = new AbortController()
      await Promise.race([this.#jobsMade.promise, this.#clock.sleep(waitMs, answered.signal)])
      answered.abort()
      jobs = this.#claim(workerId, capacity)
    }
    return { jobs, lost }
  }

  #runningJob(term: { jobId: string; epoch: number }, workerId: string): HeldJob | undefined {
    const job = this.#jobs.get(term.jobId)
    const isOurs = job?.state === 'running' && job.epoch === term.epoch && job.holder === workerId
    return isOurs ? job : undefined
  }

  #fail(job: HeldJob): void {
    job.failures++
    job.state = job.failures >= this.failuresMax ? 'parked' : 'queued'
    job.isBackingOff = true
  }

  #claim(workerId: string, capacity: number): CompactionJob[] {
    const jobs: CompactionJob[] = []
    const queued = [...this.#jobs.values()].filter(({ state, isBackingOff }) => state === 'queued' && !isBackingOff)
    for (const job of queued.sort((a, b) => a.sizeBytes - b.sizeBytes)) {
      if (jobs.length >= capacity) break
      const sources = job.objectIds.map((id) => this.#sourceOf(this.#objects.get(id)!, ({ isLive }) => isLive))
      const filled = sources.filter(({ datasets }) => datasets.length > 0)
      job.claimed = job.objectIds.flatMap((id) => this.#objects.get(id)!.datasets.filter(({ isLive }) => isLive))
      job.state = filled.length === 0 ? 'done' : 'running'
      if (filled.length === 0) continue
      job.epoch++
      job.holder = workerId
      const { jobId, epoch, level } = job
      jobs.push({ jobId, epoch, leaseMs: JOB_QUEUE_POLICY.leaseMs, level, sources: filled })
    }
    return jobs
  }

  #sourceOf({ objectId, level, sizeBytes, datasets }: HeldObject, wants: (d: HeldDataset) => boolean): SourceObject {
    const named = datasets.filter(wants).map(({ descriptor, skip }) => ({ descriptor: { ...descriptor }, skip }))
    return { objectId, level, sizeBytes, datasets: named }
  }

  async commitCompaction(
    request: Parameters<Metastore['commitCompaction']>[0],
  ): ReturnType<Metastore['commitCompaction']> {
    checkCompaction(request)
    const { workerId, jobId, epoch, outputs } = request
    const job = this.#jobs.get(jobId)
    const isHolder = job !== undefined && job.epoch === epoch && job.holder === workerId
    if (isHolder && job.answer !== undefined) return job.answer
    if (!isHolder || job.state !== 'running') {
      this.#abandon(outputs)
      return { verdict: 'lost-lease', staleObjectIds: [] }
    }
    const staleObjectIds = job.objectIds.filter((id) =>
      this.#objects.get(id)!.datasets.some((dataset) => job.claimed.includes(dataset) && !dataset.isLive),
    )
    job.state = 'done'
    job.answer = { verdict: staleObjectIds.length > 0 ? 'stale' : 'committed', staleObjectIds }
    if (staleObjectIds.length > 0) this.#abandon(outputs)
    else this.#publish(job, outputs)
    return job.answer
  }

  #publish(job: HeldJob, outputs: readonly OutputObject[]): void {
    for (const { objectId, level, sizeBytes, datasets } of outputs) {
      this.#registered.set(objectId, undefined)
      const held = datasets.map((descriptor) => ({ descriptor: { ...descriptor }, skip: [], isLive: true }))
      this.#objects.set(objectId, { objectId, level, sizeBytes, arrival: this.#count++, datasets: held })
    }
    for (const dataset of job.claimed) dataset.isLive = false
    for (const objectId of job.objectIds) this.#buryIfDead(objectId)
  }

  #abandon(outputs: readonly OutputObject[]): void {
    for (const { objectId } of outputs) {
      if (this.#registered.has(objectId)) continue
      this.#registered.set(objectId, undefined)
      this.#bury(objectId)
    }
  }

  #buryIfDead(objectId: string): void {
    if (this.#objects.get(objectId)!.datasets.every(({ isLive }) => !isLive)) this.#bury(objectId)
  }

  #bury(objectId: string): void {
    if (!this.#tombstones.has(objectId))
      this.#tombstones.set(objectId, { isDue: false, isClaimed: false, holder: '', epoch: 0 })
  }

  async planQuery({
    tenants,
    services,
    startMs,
    endMs,
  }: Parameters<Metastore['planQuery']>[0]): ReturnType<Metastore['planQuery']> {
    const objects = [...this.#objects.values()].map((object) =>
      this.#sourceOf(object, ({ descriptor, isLive }) => {
        const { tenant, service, minTimeMs, maxTimeMs } = descriptor
        if (!isLive || !tenants.includes(tenant)) return false
        return (services.length === 0 || services.includes(service)) && minTimeMs <= endMs && maxTimeMs >= startMs
      }),
    )
    return { objects: objects.filter(({ datasets }) => datasets.length > 0) }
  }

  async labelSets({
    tenants,
    startMs,
    endMs,
    names,
    namesOnly,
  }: Parameters<Metastore['labelSets']>[0]): ReturnType<Metastore['labelSets']> {
    const sets = new Map<string, { pairs: string[] }>()
    for (const { tenant, windowStartMs, pairs } of this.#labelSets.values()) {
      const overlaps = windowStartMs <= endMs && windowStartMs + MS_PER_HOUR > startMs
      if (!tenants.includes(tenant) || !overlaps) continue
      const labels = labelsFromPairs(pairs)
      const parts = namesOnly
        ? labels.map(({ name }) => [name, ''])
        : [labelsToPairs(names.length === 0 ? labels : labels.filter(({ name }) => names.includes(name)))]
      for (const part of parts) sets.set(JSON.stringify(part), { pairs: part })
    }
    return { sets: [...sets.values()] }
  }

  async tenantStats({ tenants }: Parameters<Metastore['tenantStats']>[0]): ReturnType<Metastore['tenantStats']> {
    const live = [...this.#objects.values()]
      .flatMap(({ datasets }) => datasets)
      .filter(({ descriptor, isLive }) => isLive && tenants.includes(descriptor.tenant))
    if (live.length === 0) return { dataIngested: false, oldestProfileTimeMs: 0, newestProfileTimeMs: 0 }
    return {
      dataIngested: true,
      oldestProfileTimeMs: Math.min(...live.map(({ descriptor }) => descriptor.minTimeMs)),
      newestProfileTimeMs: Math.max(...live.map(({ descriptor }) => descriptor.maxTimeMs)),
    }
  }

  async claimTombstones({
    holder,
    limit,
  }: Parameters<Metastore['claimTombstones']>[0]): ReturnType<Metastore['claimTombstones']> {
    const due = [...this.#tombstones].filter(([, { isDue, isClaimed }]) => isDue && !isClaimed).slice(0, limit)
    for (const [, tombstone] of due) {
      tombstone.isClaimed = true
      tombstone.holder = holder
      tombstone.epoch++
    }
    return { tombstones: due.map(([objectId, { epoch }]) => ({ objectId, epoch })) }
  }

  async confirmDeleted({
    holder,
    deleted,
  }: Parameters<Metastore['confirmDeleted']>[0]): ReturnType<Metastore['confirmDeleted']> {
    let forgotten = 0
    for (const { objectId, epoch } of deleted) {
      const tombstone = this.#tombstones.get(objectId)
      if (tombstone === undefined || tombstone.epoch !== epoch || tombstone.holder !== holder) continue
      this.#tombstones.delete(objectId)
      forgotten++
    }
    return { forgotten }
  }

  async registerWriter({
    writerId,
    address,
  }: Parameters<Metastore['registerWriter']>[0]): ReturnType<Metastore['registerWriter']> {
    const known = this.#writers.get(writerId)
    if (known?.address === address) return { epoch: known.epoch }
    const epoch = (known?.epoch ?? 0) + 1
    this.#writers.set(writerId, { address, epoch })
    return { epoch }
  }

  plan(): void {
    const taken = new Set(
      [...this.#jobs.values()].flatMap(({ state, objectIds }) => (state === 'done' ? [] : objectIds)),
    )
    const waiting = [...this.#objects.values()]
      .filter(({ objectId, level, datasets }) => level === 0 && !taken.has(objectId) && datasets.some((d) => d.isLive))
      .map(({ objectId, sizeBytes, arrival }) => ({ objectId, sizeBytes, createdAtMs: arrival }))
    const policy = { ...SEGMENT_COMPACTION_POLICY, triggerAgeMs: 0 }
    for (const planned of planSegmentJobs(waiting, policy, this.#count)) {
      const jobId = String(++this.#count)
      const fresh = { state: 'queued', epoch: 0, holder: '', failures: 0, isBackingOff: false } as const
      this.#jobs.set(jobId, { ...planned, ...fresh, jobId, claimed: [], answer: undefined })
    }
    this.#wake()
  }

  #wake(): void {
    this.#jobsMade.resolve()
    this.#jobsMade = Promise.withResolvers()
  }

  expireJobLeases(): void {
    for (const job of this.#jobs.values()) if (job.state === 'running') this.#fail(job)
  }

  endBackoff(): void {
    for (const job of this.#jobs.values()) job.isBackingOff = false
  }

  endGrace(): void {
    for (const tombstone of this.#tombstones.values()) Object.assign(tombstone, { isDue: true, isClaimed: false })
  }

  retireDataset(objectId: string, index: number): void {
    this.#objects.get(objectId)!.datasets[index]!.isLive = false
    this.#buryIfDead(objectId)
  }

  liveObjectIds(): string[] {
    const isLive = ({ datasets }: HeldObject): boolean => datasets.some((dataset) => dataset.isLive)
    return [...this.#objects.values()].filter(isLive).map(({ objectId }) => objectId)
  }

  parkedJobIds(): string[] {
    return [...this.#jobs.values()].filter(({ state }) => state === 'parked').map(({ jobId }) => jobId)
  }
}
