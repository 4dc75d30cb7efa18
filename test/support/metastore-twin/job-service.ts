/** The queue for people and scripts, over the twin: what core/rpc/jobs.ts promises and the contract suite looks at. */
import { CinderError, invalidArgument } from '#core/errors.ts'
import type { JobService, JobSummary } from '#core/rpc/jobs.ts'
import { parkJob, retryJob } from './jobs.ts'
import { markKey } from './planning.ts'
import type { HeldJob, TwinState } from './state.ts'

const STATES = ['queued', 'running', 'parked', 'done', 'stale']
const PAGE_SIZE_MAX = 1_000

export function createTwinJobService(state: TwinState): JobService {
  return { ...jobCalls(state), ...markCalls(state) }
}

type JobCalls = Pick<JobService, 'listJobs' | 'getJob' | 'retryJob' | 'parkJob'>

function jobCalls(state: TwinState): JobCalls {
  const find = (jobId: string): HeldJob => {
    const job = state.jobs.get(jobId)
    if (job === undefined) throw new CinderError('not_found', `there is no job ${jobId}`)
    return job
  }
  const changed = (job: HeldJob, isDone: boolean): JobSummary => {
    if (!isDone) throw new CinderError('failed_precondition', `job ${job.jobId} is ${job.state}`)
    return summaryOf(state, job)
  }
  return {
    async listJobs({ states, tenant, level, pageSize, pageToken }) {
      if (pageSize > PAGE_SIZE_MAX || (pageToken !== '' && !/^\d+$/.test(pageToken))) throw invalidArgument('bad page')
      for (const name of states) if (!STATES.includes(name)) throw invalidArgument(`there is no state ${name}`)
      const wanted = states.length === 0 ? ['queued', 'running', 'parked'] : states
      const before = pageToken === '' ? Number.POSITIVE_INFINITY : Number(pageToken)
      const all = [...state.jobs.values()]
        .filter(
          (job) => wanted.includes(job.state) && Number(job.jobId) < before && (level === 0 || job.level === level),
        )
        .map((job) => summaryOf(state, job))
        .filter(({ tenants }) => tenant === '' || tenants.includes(tenant))
        .sort((a, b) => Number(b.jobId) - Number(a.jobId))
      const jobs = all.slice(0, pageSize || 100)
      return { jobs, nextPageToken: all.length > jobs.length ? jobs.at(-1)!.jobId : '' }
    },
    async getJob({ jobId }) {
      const job = find(jobId)
      const sources = state
        .datasetsOf(job.sources)
        .map((dataset) => ({ ...dataset, level: state.objects.get(dataset.objectId)!.level }))
      return { job: summaryOf(state, job), sources, failures: job.history }
    },
    async retryJob({ jobId }) {
      const job = find(jobId)
      return changed(job, retryJob(state, job))
    },
    async parkJob({ jobId, reason }) {
      const job = find(jobId)
      return changed(job, parkJob(job, reason))
    },
  }
}

function summaryOf(state: TwinState, job: HeldJob): JobSummary {
  const { jobId, level, sizeBytes, sources, failures, epoch, holder, reason, failureKind, parentId, createdMs } = job
  const datasets = state.datasetsOf(sources)
  return {
    jobId,
    state: job.state,
    level,
    tenants: [...new Set(datasets.map(({ tenant }) => tenant))].sort(),
    sizeBytes,
    sourceCount: sources.length,
    datasetCount: datasets.length,
    failures,
    epoch,
    holder,
    progress: 0,
    reason,
    failureKind,
    parentId,
    createdMs,
    notBeforeMs: job.notBeforeMs,
    startedMs: job.startedAtMs,
    expiresMs: job.expiresAtMs,
    finishedMs: job.finishedAtMs,
  }
}

function markCalls(state: TwinState): Omit<JobService, keyof JobCalls> {
  return {
    async setMark({ objectId, tenant, index, reason }) {
      const datasets = state.objects.get(objectId)?.datasets ?? []
      const isThere = datasets.some(
        ({ descriptor }) => descriptor.tenant === tenant && (index === -1 || descriptor.index === index),
      )
      if (!isThere) throw new CinderError('not_found', `${tenant} has no dataset ${index} in ${objectId}`)
      const mark = { objectId, tenant, index, reason, markedMs: state.nowMs() }
      state.marks.set(markKey(objectId, tenant, index), mark)
      return mark
    },
    clearMark: async ({ objectId, tenant, index }) => ({
      isCleared: state.marks.delete(markKey(objectId, tenant, index)),
    }),
    listMarks: async ({ tenant }) => ({
      marks: [...state.marks.values()].filter((mark) => tenant === '' || mark.tenant === tenant),
      nextPageToken: '',
    }),
    async setTenantCompaction({ tenant, isEnabled, reason }) {
      const compaction = { tenant, isEnabled, reason, changedMs: state.nowMs() }
      state.switches.set(tenant, compaction)
      return compaction
    },
    listTenantCompaction: async () => ({ tenants: [...state.switches.values()] }),
    listWorkers: async () => ({
      workers: [...state.workers].map(([workerId, { report, running, firstSeenMs, seenMs }]) => ({
        ...(report ?? { address: '', version: '', threads: 0, capacity: 0, budgetBytes: 0, usedBytes: 0 }),
        workerId,
        running,
        firstSeenMs,
        seenMs,
        isLive: seenMs > state.nowMs() - state.jobPolicy.workerTtlMs,
      })),
    }),
  }
}
