/** The job queue: claims, renewals, failures, expiry; and the commit of a job with its verdict. */
import { checkCompaction } from '../../../apps/metastore/validate.ts'
import type {
  CommitCompactionRequest,
  CommitCompactionResponse,
  CompactionJob,
  FailedJob,
  OutputObject,
} from '#core/rpc/metastore.ts'
import type { HeldJob, JobSource, TwinState } from './state.ts'

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

export function failJobs(state: TwinState, failed: readonly FailedJob[], workerId: string): void {
  for (const term of failed) {
    const job = runningJob(state, term, workerId)
    if (job !== undefined) fail(state, job, term.reason)
  }
}

/** Returns how many. */
export function releaseJobs(state: TwinState, released: readonly Term[], workerId: string): number {
  const jobs = released.flatMap((term) => runningJob(state, term, workerId) ?? [])
  for (const job of jobs) Object.assign(job, { state: 'queued', holder: '' })
  return jobs.length
}

/** Ids of the jobs that are not the worker's any more. */
export function renewJobs(state: TwinState, running: readonly Term[], workerId: string): string[] {
  const lost: string[] = []
  for (const term of running) {
    const job = runningJob(state, term, workerId)
    if (job === undefined) lost.push(term.jobId)
    else job.expiresAtMs = state.nowMs() + state.jobPolicy.leaseMs
  }
  return lost
}

function fail(state: TwinState, job: HeldJob, reason: string): void {
  const { failuresMax, backoffBaseMs, backoffMaxMs } = state.jobPolicy
  const backoffMs = Math.min(backoffMaxMs, backoffBaseMs * 2 ** Math.min(job.failures, 30))
  job.failures++
  Object.assign(job, {
    state: job.failures >= failuresMax ? 'parked' : 'queued',
    holder: '',
    reason,
    notBeforeMs: state.nowMs() + backoffMs,
  })
}

/** Expiry counts as a failure. Without `force` only leases that ran out. Returns how many. */
export function failExpiredJobs(state: TwinState, force = false): number {
  if (!state.rules.expiresLeases) return 0
  const nowMs = state.nowMs()
  const expired = [...state.jobs.values()].filter(
    (job) => job.state === 'running' && (force || job.expiresAtMs <= nowMs),
  )
  for (const job of expired) fail(state, job, `lease expired: no word from ${job.holder}`)
  return expired.length
}

export function claimJobs(state: TwinState, workerId: string, capacity: number): CompactionJob[] {
  const nowMs = state.nowMs()
  const { leaseMs } = state.jobPolicy
  const queued = [...state.jobs.values()]
    .filter((job) => job.state === 'queued' && job.notBeforeMs <= nowMs)
    .sort((a, b) => a.rank - b.rank)
  return queued.slice(0, capacity).map((job) => {
    job.epoch++
    Object.assign(job, { state: 'running', holder: workerId, expiresAtMs: nowMs + leaseMs })
    const sources = job.sources.map(({ objectId, indexes }) =>
      state.sourceOf(state.objects.get(objectId)!, ({ descriptor }) => indexes.includes(descriptor.index)),
    )
    const { jobId, epoch, level } = job
    return { jobId, epoch, leaseMs, level, sources }
  })
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
  const isClosed = job?.state === 'done' || job?.state === 'stale'
  if (isClosed && job.epoch === epoch && job.outputIds === outputIds)
    return { verdict: job.state === 'done' ? 'committed' : 'stale', staleObjectIds: job.staleObjectIds }
  const isRunning = job?.state === 'running' && job.epoch === epoch && job.holder === workerId
  const isFresh = outputs.every(({ objectId }) => !state.registered.has(objectId))
  if (job === undefined || !(isRunning || !rules.checksTerms) || !isFresh) {
    abandon(state, outputs)
    return { verdict: 'lost-lease', staleObjectIds: [] }
  }
  const staleObjectIds = job.sources.filter((source) => !isIntact(state, source)).map(({ objectId }) => objectId)
  const isStale = rules.checksSources && staleObjectIds.length > 0
  Object.assign(job, {
    state: isStale ? 'stale' : 'done',
    holder: '',
    outputIds,
    staleObjectIds,
    finishedAtMs: state.nowMs(),
  })
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
  return object !== undefined && indexes.every((index) => object.datasets[index]!.isLive)
}

function publish(state: TwinState, job: HeldJob, outputs: readonly OutputObject[]): void {
  for (const { objectId, level, sizeBytes, datasets } of outputs) {
    state.registered.set(objectId, undefined)
    const held = datasets.map((descriptor) => ({ descriptor: { ...descriptor }, skip: [], isLive: true }))
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
