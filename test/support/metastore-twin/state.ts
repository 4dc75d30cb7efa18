/**
 * What the metastore's tables hold, in memory, and the rules that its statements keep. Everything below works on this
 * one state, each call at one instant, as a statement does.
 *
 * `rules` can be switched off one by one: a simulation that then finds nothing would prove nothing.
 * It must not read a clock of its own: `nowMs` is the database's time.
 */
import type { JobDataset } from '#core/compaction/after-failure.ts'
import { JOB_QUEUE_POLICY, type JobQueuePolicy } from '#core/compaction/policy.ts'
import type { TenantLife } from './tenants.ts'
import type { RetentionRule } from '#core/retention/rules.ts'
import type { CompactionMark, JobFailureRecord, TenantCompaction } from '#core/rpc/jobs.ts'
import type { DatasetDescriptor, DatasetSkips, LabelSet, SourceObject, WorkerReport } from '#core/rpc/metastore.ts'

export interface HeldDataset {
  readonly descriptor: DatasetDescriptor
  readonly skip: number[]
  /** Of its tenant. */
  readonly incarnation: number
  isLive: boolean
}

export interface HeldLabelSet extends LabelSet {
  /** Of its tenant. */
  readonly incarnation: number
}

export interface HeldObject {
  readonly objectId: string
  readonly level: number
  readonly sizeBytes: number
  readonly createdAtMs: number
  readonly datasets: HeldDataset[]
}

/** What a job was planned with; the commit compares it with the rows as they are then. */
export interface JobSource {
  readonly objectId: string
  readonly indexes: readonly number[]
  /** Unique with the object id among open jobs. */
  readonly scope: string
}

export interface HeldJob {
  readonly jobId: string
  readonly level: number
  readonly sizeBytes: number
  rank: number
  readonly sources: readonly JobSource[]
  /** Its only tenant, or '': with the level its flow. */
  readonly tenant: string
  /** Where the queue stood in virtual time when it came. */
  readonly arrivalTag: number
  /** Where it began in virtual time, once it was taken. */
  tag: number | undefined
  state: 'queued' | 'running' | 'done' | 'stale' | 'parked'
  epoch: number
  holder: string
  failures: number
  reason: string
  failureKind: string
  /** The job that it was split from. */
  readonly parentId: string
  readonly createdMs: number
  /** Oldest first; those of the parent before its own. */
  readonly history: JobFailureRecord[]
  notBeforeMs: number
  startedAtMs: number
  expiresAtMs: number
  /** When it was closed; 0 while it is open. */
  finishedAtMs: number
  outputIds: string | undefined
  staleObjectIds: string[]
}

export interface Tombstone {
  dueAtMs: number
  expiresAtMs: number
  holder: string
  epoch: number
}

export interface HeldWorker {
  readonly report: WorkerReport | undefined
  readonly running: number
  readonly firstSeenMs: number
  readonly seenMs: number
}

export interface DutyLease {
  holder: string
  epoch: number
  expiresAtMs: number
}

/** Each is a promise of the real statements; false = a planted bug. */
export interface TwinRules {
  /** A repeated commit of a segment finds its object and changes nothing. */
  readonly findsReplays: boolean
  /** … and answers with the first verdict. */
  readonly repeatsVerdicts: boolean
  readonly dedupes: boolean
  /** A commit or report under an old epoch, or by another holder, changes nothing. */
  readonly checksTerms: boolean
  /** A commit whose sources are not as planned is stale. */
  readonly checksSources: boolean
  /** … and one whose outputs do not hold what the sources hold publishes nothing. */
  readonly checksBalance: boolean
  readonly retiresSources: boolean
  /** Jobs and plans name skipped positions. */
  readonly namesSkips: boolean
  /** Jobs enter under the planner's current lease, and no source is in two open jobs. */
  readonly fencesPlanner: boolean
  readonly keepsGrace: boolean
  /** Tombstones are claimed and confirmed by their exact term. */
  readonly leasesTombstones: boolean
  /** Outputs of a refused commit become tombstones unless they are published. */
  readonly sparesPublished: boolean
  readonly keepsLabelSets: boolean
  /** A commit that leaves out label sets of before a deletion is told to bring them. */
  readonly checksLabelEpoch: boolean
  /** Leases that ran out are taken away. */
  readonly expiresLeases: boolean
  /** What fails twice is halved, down to the dataset that is poison. */
  readonly bisects: boolean
  /** A merge of a tenant that was deleted meanwhile is stale. */
  readonly checksIncarnations: boolean
  /** What is committed late and lies below the bound of its retention is dead on arrival. */
  readonly keepsBounds: boolean
  /** An orphan's id is registered before its object goes, so that its commit is refused. */
  readonly registersOrphans: boolean
  /** What an entry of the journal names is nobody's orphan. */
  readonly sparesJournalled: boolean
  /** A rebuild compares profile ids where attempts overlap. */
  readonly comparesContested: boolean
  /** … and which incarnation of a tenant an object, and what it was merged of, belongs to. */
  readonly asksFate: boolean
}

export const TWIN_RULES: TwinRules = {
  findsReplays: true,
  repeatsVerdicts: true,
  dedupes: true,
  checksTerms: true,
  checksSources: true,
  checksBalance: true,
  retiresSources: true,
  namesSkips: true,
  fencesPlanner: true,
  keepsGrace: true,
  leasesTombstones: true,
  sparesPublished: true,
  keepsLabelSets: true,
  checksLabelEpoch: true,
  expiresLeases: true,
  bisects: true,
  checksIncarnations: true,
  keepsBounds: true,
  registersOrphans: true,
  sparesJournalled: true,
  comparesContested: true,
  asksFate: true,
}

export interface TwinOptions {
  /** The database's time. Default: it stands still. */
  readonly nowMs?: () => number
  readonly jobPolicy?: JobQueuePolicy
  readonly rules?: Partial<TwinRules>
  /** False: what is pushed again after a deletion of its tenant is a duplicate of what is hidden. Default: it is new. */
  readonly renewsIds?: boolean
  /** False: a commit does not say which datasets are older than their retention, and their pushes succeed. Default: it does. */
  readonly tellsExpired?: boolean
}

export class TwinState {
  readonly nowMs: () => number
  readonly jobPolicy: JobQueuePolicy
  readonly rules: TwinRules
  readonly renewsIds: boolean
  readonly tellsExpired: boolean
  readonly objects = new Map<string, HeldObject>()
  /** Every id that was ever given out; with a verdict if it was a segment's. */
  readonly registered = new Map<string, DatasetSkips[] | undefined>()
  /** When each was first committed. */
  readonly profileIds = new Map<string, number>()
  readonly labelSets = new Map<string, HeldLabelSet>()
  readonly jobs = new Map<string, HeldJob>()
  readonly tombstones = new Map<string, Tombstone>()
  readonly leases = new Map<string, DutyLease>()
  readonly tenants = new Map<string, TenantLife>()
  retention: readonly RetentionRule[] = []
  readonly workers = new Map<string, HeldWorker>()
  /** By object, tenant and index; -1 = all that the tenant has in the object. */
  readonly marks = new Map<string, CompactionMark>()
  /** Tenants whose compaction somebody switched. */
  readonly switches = new Map<string, TenantCompaction>()
  /** Of the last minute, for telling an outage from poison: jobs that failed, and times of commits. */
  readonly failedAtMs = new Map<string, number>()
  readonly committedAtMs: number[] = []
  /** Objects that no commit has named, and when the search saw each first. */
  readonly orphanCandidates = new Map<string, number>()
  #lastJobId = 0

  constructor(options: TwinOptions = {}) {
    this.nowMs = options.nowMs ?? (() => 0)
    this.jobPolicy = options.jobPolicy ?? JOB_QUEUE_POLICY
    this.rules = { ...TWIN_RULES, ...options.rules }
    this.renewsIds = options.renewsIds ?? true
    this.tellsExpired = options.tellsExpired ?? true
  }

  addJob(job: Pick<HeldJob, 'level' | 'sources'> & Partial<HeldJob>): HeldJob {
    const jobId = String(++this.#lastJobId)
    const datasets = this.datasetsOf(job.sources)
    const tenants = new Set(datasets.map(({ tenant }) => tenant))
    const sizeBytes = datasets.reduce((sum, dataset) => sum + dataset.sizeBytes, 0)
    const held: HeldJob = {
      jobId,
      sizeBytes,
      rank: this.nowMs() / 1_000 + sizeBytes / this.jobPolicy.ageingBytesPerSecond,
      tenant: tenants.size === 1 ? [...tenants][0]! : '',
      arrivalTag: this.#virtualNow(),
      tag: undefined,
      state: 'queued',
      epoch: 0,
      holder: '',
      failures: 0,
      reason: '',
      failureKind: '',
      parentId: '',
      createdMs: this.nowMs(),
      history: [],
      notBeforeMs: 0,
      startedAtMs: 0,
      expiresAtMs: 0,
      finishedAtMs: 0,
      outputIds: undefined,
      staleObjectIds: [],
      ...job,
    }
    this.jobs.set(jobId, held)
    return held
  }

  /** Where the newest of what runs began; if nothing runs, the newest of all. */
  #virtualNow(): number {
    const taken = [...this.jobs.values()].filter(({ tag }) => tag !== undefined)
    const running = taken.filter(({ state }) => state === 'running')
    return (running.length > 0 ? running : taken).reduce((max, { tag }) => Math.max(max, tag ?? 0), 0)
  }

  /** As planning and bisection see them. */
  datasetsOf(sources: readonly JobSource[]): JobDataset[] {
    return sources.flatMap(({ objectId, indexes }) =>
      indexes.map((index) => {
        const { tenant, service, windowStartMs, sizeBytes } = this.objects.get(objectId)!.datasets[index]!.descriptor
        return { objectId, index, tenant, service, windowStartMs, sizeBytes }
      }),
    )
  }

  addObject(object: Omit<HeldObject, 'createdAtMs'>): void {
    this.objects.set(object.objectId, { ...object, createdAtMs: this.nowMs() })
  }

  /** All but settings, and the ids of what the bucket has no more. */
  loseTables(inBucket: readonly string[]): void {
    for (const table of [this.objects, this.jobs, this.tombstones, this.leases]) table.clear()
    // Here a retry of what a deletion took is a duplicate, and nothing in the bucket says so once that is gone.
    const diedAtMs = Math.max(...[...this.tenants.values()].map((life) => life.diedAtMs))
    for (const [id, countedAtMs] of this.profileIds) if (countedAtMs > diedAtMs) this.profileIds.delete(id)
    // Whoever takes single datasets away leaves their label sets, and no object in the bucket tells of these.
    for (const [key, { tenant }] of this.labelSets) if (!this.tenants.has(tenant)) this.labelSets.delete(key)
    for (const table of [this.workers, this.failedAtMs, this.orphanCandidates]) table.clear()
    this.committedAtMs.length = 0
    for (const objectId of inBucket) this.registered.delete(objectId)
    this.#lastJobId += 1_000
  }

  addLabelSet(set: HeldLabelSet): void {
    this.labelSets.set(JSON.stringify([set.tenant, set.windowStartMs, set.pairs, set.incarnation]), set)
  }

  retireDataset(objectId: string, index: number): void {
    this.objects.get(objectId)!.datasets[index]!.isLive = false
    this.buryIfDead(objectId)
  }

  buryIfDead(objectId: string): void {
    if (this.objects.get(objectId)!.datasets.every(({ isLive }) => !isLive)) this.bury(objectId)
  }

  bury(objectId: string): void {
    if (this.tombstones.has(objectId)) return
    const graceMs = this.rules.keepsGrace ? this.jobPolicy.deletionGraceMs : 0
    this.tombstones.set(objectId, { dueAtMs: this.nowMs() + graceMs, expiresAtMs: 0, holder: '', epoch: 0 })
  }

  isLive(objectId: string): boolean {
    return this.objects.get(objectId)?.datasets.some((dataset) => dataset.isLive) ?? false
  }

  /** The chosen datasets of an object as plans and jobs name them. */
  sourceOf({ objectId, level, sizeBytes, datasets }: HeldObject, wants: (d: HeldDataset) => boolean): SourceObject {
    const named = datasets.filter(wants).map(({ descriptor, skip }) => ({
      descriptor: { ...descriptor },
      skip: this.rules.namesSkips ? [...skip] : [],
    }))
    return { objectId, level, sizeBytes, datasets: named }
  }
}
