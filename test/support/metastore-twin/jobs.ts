/** The job queue: claims, renewals, failures, expiry; and the commit of a job with its verdict. */
import { checkCompaction } from '../../../apps/metastore/validate.ts'
import { afterFailure, type JobPart } from '#core/compaction/after-failure.ts'
import { describeImbalance, findImbalance, quarantineFolder } from '#core/compaction/balance.ts'
import { chooseJobs, type QueuedFlow, type RunningFlow } from '#core/compaction/claim-order.ts'
import { failureKindOf } from '#core/compaction/job-failure.ts'
import { compactedTenants } from '#core/compaction/tenant-switch.ts'
import type {
  CommitCompactionRequest,
  CommitCompactionResponse,
  CompactionJob,
  FailedJob,
  OutputObject,
  SourceObject,
  WorkerReport,
} from '#core/rpc/metastore.ts'
import type { HeldDataset, HeldJob, JobSource, TwinState } from './state.ts'
import { isVisible } from './tenants.ts'

interface Term {
  readonly jobId: string
  readonly epoch: number
}

function runningJob(state: TwinState, term: Term, workerId: string): HeldJob | undefined {
  const job = state.jobs.get(term.jobId)
  if (job?.state !== 'running') return undefined
  const isOurs = job.epoch === term.epoch && job.holder === workerId
  return isOurs || !state.rules.checksTerms ? job : undefined
}

/** Who polled lately has a share of the tenants. */
export function noteWorker(state: TwinState, workerId: string, running: number, report?: WorkerReport): void {
  const seenMs = state.nowMs()
  const firstSeenMs = state.workers.get(workerId)?.firstSeenMs ?? seenMs
  state.workers.set(workerId, { report, running, firstSeenMs, seenMs })
}

export function failJobs(state: TwinState, failed: readonly FailedJob[], workerId: string): void {
  for (const term of failed) {
    const job = runningJob(state, term, workerId)
    if (job !== undefined) fail(state, job, term)
  }
}

/** Returns how many. */
export function releaseJobs(state: TwinState, released: readonly Term[], workerId: string): number {
  const jobs = released.flatMap((term) => runningJob(state, term, workerId) ?? [])
  for (const job of jobs) Object.assign(job, { state: 'queued', holder: '' })
  return jobs.length
}

/** Assignments after which a job that its worker never heard of is left to its lease. */
const UNHEARD_EPOCHS_MAX = 16

/** What the worker was given and does not hold. Returns how many. */
export function releaseUnheard(state: TwinState, held: readonly Term[], workerId: string): number {
  const isHeld = (job: HeldJob) => held.some(({ jobId, epoch }) => jobId === job.jobId && epoch === job.epoch)
  const jobs = [...state.jobs.values()].filter(
    (job) => job.state === 'running' && job.holder === workerId && job.epoch < UNHEARD_EPOCHS_MAX && !isHeld(job),
  )
  for (const job of jobs) Object.assign(job, { state: 'queued', holder: '' })
  return jobs.length
}

/** Ids of the jobs that are not the worker's any more. */
export function renewJobs(state: TwinState, running: readonly Term[], workerId: string): string[] {
  const lost: string[] = []
  for (const term of running) {
    const job = runningJob(state, term, workerId)
    if (job === undefined || isTooLong(state, job)) lost.push(term.jobId)
    else job.expiresAtMs = state.nowMs() + state.jobPolicy.leaseMs
  }
  return lost
}

/** Over what time an outage is told from poison. */
const LATELY_MS = 60_000

function fail(state: TwinState, job: HeldJob, { reason, kind, culprits }: Omit<FailedJob, 'jobId' | 'epoch'>): void {
  const nowMs = state.nowMs()
  state.failedAtMs.set(job.jobId, nowMs)
  const failureKind = failureKindOf(kind)
  const { epoch, holder } = job
  job.history.push({ failedMs: nowMs, holder, epoch, kind: failureKind, reason, isInherited: false })
  const isLate = (atMs: number): boolean => atMs > nowMs - LATELY_MS
  const lately = {
    failedJobs: [...state.failedAtMs.values()].filter(isLate).length,
    committedJobs: state.committedAtMs.filter(isLate).length,
  }
  const datasets = state.datasetsOf(job.sources)
  const { failures } = job
  const asked = { kind: failureKind, culprits: culprits ?? [], failures, datasets, lately }
  const verdict = afterFailure(asked, state.jobPolicy)
  if (verdict.kind === 'split' && state.rules.bisects) {
    Object.assign(job, { state: 'stale', holder: '', reason: `split: ${reason}`, finishedAtMs: nowMs })
    for (const part of verdict.parts) addPart(state, { parent: job, reason, failureKind }, part)
    return
  }
  const delayMs = verdict.kind === 'retry' ? verdict.delayMs : 0
  Object.assign(job, {
    state: verdict.kind === 'retry' ? 'queued' : 'parked',
    failures: verdict.kind === 'split' ? failures + 1 : verdict.failures,
    holder: '',
    reason,
    failureKind,
    notBeforeMs: nowMs + delayMs,
    rank: Math.max(job.rank, (nowMs + delayMs) / 1_000),
  })
}

interface Split {
  readonly parent: HeldJob
  readonly reason: string
  readonly failureKind: string
}

function addPart(state: TwinState, { parent, reason, failureKind }: Split, part: JobPart): void {
  const { jobId, level } = parent
  const byObject = new Map<string, number[]>()
  for (const { objectId, index } of part.datasets) byObject.set(objectId, [...(byObject.get(objectId) ?? []), index])
  const sources = [...byObject].map(([objectId, indexes], i) => ({
    objectId,
    indexes: indexes.sort((a, b) => a - b),
    scope: `#${jobId}.${state.jobs.size}.${i}`,
  }))
  state.addJob({
    level,
    sources,
    parentId: jobId,
    history: parent.history.map((failure) => ({ ...failure, isInherited: true })),
    ...(part.failures > 0 ? { reason, failureKind } : {}),
    failures: part.failures,
    notBeforeMs: state.nowMs() + part.delayMs,
    state: part.isParked ? 'parked' : 'queued',
  })
}

/** Somebody wants a parked job tried again. */
export function retryParked(state: TwinState): void {
  for (const job of state.jobs.values()) if (job.state === 'parked') retryJob(state, job)
}

/** Its failures are forgiven, its history is kept. False in any other state. */
export function retryJob(state: TwinState, job: HeldJob): boolean {
  if (job.state !== 'parked' && job.state !== 'queued') return false
  Object.assign(job, { state: 'queued', failures: 0, notBeforeMs: state.nowMs() })
  return true
}

export function parkJob(job: HeldJob, reason: string): boolean {
  if (job.state !== 'queued' && job.state !== 'running') return false
  Object.assign(job, { state: 'parked', holder: '', reason })
  return true
}

/** Jobs that wait for data that is gone are closed, so that a parked job goes when its data does. */
export function closeDeadJobs(state: TwinState): void {
  for (const job of state.jobs.values())
    if (isStuck(job) && isDead(state, job.sources))
      Object.assign(job, { state: 'stale', finishedAtMs: state.nowMs(), reason: 'its data is gone' })
}

/** Parked; or queued, and its objects were not there. */
function isStuck({ state: standing, failureKind }: HeldJob): boolean {
  return standing === 'parked' || (standing === 'queued' && failureKind === 'missing-source')
}

export function isDead(state: TwinState, sources: readonly JobSource[]): boolean {
  return sources.every(({ objectId, indexes }) =>
    indexes.every((index) => !state.objects.get(objectId)!.datasets[index]!.isLive),
  )
}

/** Expiry counts as a failure. Without `force` only leases that ran out. Returns how many. */
export function failExpiredJobs(state: TwinState, force = false): number {
  if (!state.rules.expiresLeases) return 0
  const nowMs = state.nowMs()
  const expired = [...state.jobs.values()].filter(
    (job) => job.state === 'running' && (force || job.expiresAtMs <= nowMs || isTooLong(state, job)),
  )
  for (const job of expired) fail(state, job, { reason: `lease expired: no word from ${job.holder}` })
  return expired.length
}

function isTooLong(state: TwinState, { startedAtMs }: HeldJob): boolean {
  return startedAtMs <= state.nowMs() - state.jobPolicy.jobTimeMaxMs
}

export function claimJobs(state: TwinState, workerId: string, capacity: number): CompactionJob[] {
  const nowMs = state.nowMs()
  const { leaseMs, workerTtlMs } = state.jobPolicy
  const workerIds = [...state.workers].filter(([, { seenMs }]) => seenMs > nowMs - workerTtlMs).map(([name]) => name)
  const tenants = compactedTenants(state.jobPolicy, [...state.switches.values()])
  const chosen = chooseJobs(
    { flows: queuedFlows(state), running: runningFlows(state), workerIds, tenants },
    state.jobPolicy,
    {
      workerId,
      limit: capacity,
    },
  )
  return chosen.map(({ jobId, tag }) => {
    const job = state.jobs.get(jobId)!
    job.epoch++
    Object.assign(job, { state: 'running', holder: workerId, tag, startedAtMs: nowMs, expiresAtMs: nowMs + leaseMs })
    const sources = job.sources.map(({ objectId, indexes }) =>
      state.sourceOf(state.objects.get(objectId)!, ({ descriptor }) => indexes.includes(descriptor.index)),
    )
    const { epoch, level } = job
    return { jobId, epoch, leaseMs, level, sources }
  })
}

function flowsOf(jobs: readonly HeldJob[]): HeldJob[][] {
  const flows = new Map<string, HeldJob[]>()
  for (const job of jobs) {
    const key = `${job.level} ${job.tenant}`
    const flow = flows.get(key)
    if (flow === undefined) flows.set(key, [job])
    else flow.push(job)
  }
  return [...flows.values()]
}

function queuedFlows(state: TwinState): QueuedFlow[] {
  const all = [...state.jobs.values()]
  const nowMs = state.nowMs()
  return flowsOf(all.filter((job) => job.state === 'queued' && job.notBeforeMs <= nowMs)).map((jobs) => {
    const { level, tenant } = jobs[0]!
    let last: { tag: number; sizeBytes: number } | undefined
    for (const { level: ofLevel, tenant: ofTenant, tag, sizeBytes } of all)
      if (ofLevel === level && ofTenant === tenant && tag !== undefined && tag >= (last?.tag ?? 0))
        last = { tag, sizeBytes }
    return { level, tenant, last, jobs: jobs.sort((a, b) => a.rank - b.rank) }
  })
}

function runningFlows(state: TwinState): RunningFlow[] {
  const running = [...state.jobs.values()].filter((job) => job.state === 'running')
  return flowsOf(running).map((jobs) => {
    const { level, tenant } = jobs[0]!
    return { level, tenant, count: jobs.length }
  })
}

const VERDICTS = { done: 'committed', stale: 'stale', parked: 'not-conserved' }

/** As the rows have them, whatever the job was told. */
function sourcesOf(state: TwinState, { sources }: HeldJob): SourceObject[] {
  return sources.map(({ objectId, indexes }) => {
    const { level, sizeBytes, datasets } = state.objects.get(objectId)!
    return { objectId, level, sizeBytes, datasets: indexes.map((index) => datasets[index]!) }
  })
}

function parkUnbalanced(state: TwinState, job: HeldJob, of: { outputIds: string; reason: string }): void {
  const { holder, epoch } = job
  const failure = { failedMs: state.nowMs(), holder, epoch, kind: 'conservation', reason: of.reason }
  job.history.push({ ...failure, isInherited: false })
  Object.assign(job, { state: 'parked', holder: '', failures: job.failures + 1, failureKind: 'conservation', ...of })
}

export function commitCompaction(state: TwinState, request: CommitCompactionRequest): CommitCompactionResponse {
  checkCompaction(request)
  const { jobId, epoch, workerId, outputs } = request
  const { rules } = state
  const job = state.jobs.get(jobId)
  const outputIds = outputs
    .map(({ objectId }) => objectId)
    .sort()
    .join()
  const isJudged = job?.state === 'done' || job?.state === 'stale' || job?.state === 'parked'
  if (isJudged && job.epoch === epoch && job.outputIds === outputIds)
    return { verdict: VERDICTS[job.state as keyof typeof VERDICTS], staleObjectIds: job.staleObjectIds }
  const isRunning = job?.state === 'running' && job.epoch === epoch && job.holder === workerId
  const isFresh = outputs.every(({ objectId }) => !state.registered.has(objectId))
  if (job === undefined || !(isRunning || !rules.checksTerms) || !isFresh) {
    abandon(state, outputs)
    return { verdict: 'lost-lease', staleObjectIds: [] }
  }
  const staleObjectIds = job.sources.filter((source) => !isIntact(state, source)).map(({ objectId }) => objectId)
  const isStale = rules.checksSources && staleObjectIds.length > 0
  if (!isStale && outputs.length === 0) return { verdict: 'lost-lease', staleObjectIds: [] }
  const imbalance = isStale || !rules.checksBalance ? undefined : findImbalance(sourcesOf(state, job), outputs)
  if (imbalance !== undefined) {
    parkUnbalanced(state, job, { outputIds, reason: `${describeImbalance(imbalance)}; see ${quarantineFolder(job)}` })
    abandon(state, outputs)
    return { verdict: 'not-conserved', staleObjectIds: [] }
  }
  Object.assign(job, {
    state: isStale ? 'stale' : 'done',
    holder: '',
    outputIds,
    staleObjectIds,
    finishedAtMs: state.nowMs(),
  })
  state.committedAtMs.push(state.nowMs())
  if (isStale) abandon(state, outputs)
  else publish(state, job, outputs)
  return { verdict: isStale ? 'stale' : 'committed', staleObjectIds: isStale ? staleObjectIds : [] }
}

/** What the cleaner does: a commit that comes later finds no job. */
export function forgetClosedJobs(state: TwinState, ageMs: number): void {
  for (const [jobId, { state: standing, finishedAtMs }] of state.jobs)
    if ((standing === 'done' || standing === 'stale') && finishedAtMs <= state.nowMs() - ageMs) state.jobs.delete(jobId)
}

/** A segment is a source with all its live datasets; of an object above only the planned ones count. */
function isIntact(state: TwinState, { objectId, indexes }: JobSource): boolean {
  const object = state.objects.get(objectId)
  return object !== undefined && indexes.every((index) => isSound(state, object.datasets[index]!))
}

function isSound(state: TwinState, dataset: HeldDataset): boolean {
  return state.rules.checksIncarnations ? isVisible(state, dataset) : dataset.isLive
}

function publish(state: TwinState, job: HeldJob, outputs: readonly OutputObject[]): void {
  for (const { objectId, level, sizeBytes, datasets } of outputs) {
    state.registered.set(objectId, undefined)
    const held = datasets.map((descriptor) => ({
      descriptor: { ...descriptor },
      skip: [],
      incarnation: state.tenants.get(descriptor.tenant)?.incarnation ?? 1,
      isLive: true,
    }))
    state.addObject({ objectId, level, sizeBytes, datasets: held })
  }
  if (!state.rules.retiresSources) return
  for (const { objectId, indexes } of job.sources) {
    const { datasets } = state.objects.get(objectId)!
    for (const index of indexes) datasets[index]!.isLive = false
    state.buryIfDead(objectId)
  }
}

function abandon(state: TwinState, outputs: readonly OutputObject[]): void {
  for (const { objectId } of outputs) {
    if (state.rules.sparesPublished && state.registered.has(objectId)) continue
    state.registered.set(objectId, undefined)
    state.bury(objectId)
  }
}
