/**
 * The planner's statements: leases of duties with their epochs, what waits, and the entry of planned jobs under a lease.
 * What is planned from these is decided by core/compaction.
 */
import type { SegmentJob, WaitingSegment } from '#core/compaction/plan.ts'
import type { WaitingDataset, WindowJob } from '#core/compaction/plan-windows.ts'
import { LAST_LEVEL } from '#core/compaction/policy.ts'
import type { HeldJob, JobSource, TwinState } from './state.ts'

export interface DutyTerm {
  readonly name: string
  readonly holder: string
  readonly epoch: number
}

export interface LeaseRequest {
  readonly name: string
  readonly holder: string
  readonly epoch: number | undefined
  readonly ttlMs: number
}

/** Extends the term given, or begins a new one if the lease is free. Undefined: somebody else holds it. */
export function acquireLease(state: TwinState, request: LeaseRequest): DutyTerm | undefined {
  const { name, holder, epoch, ttlMs } = request
  const nowMs = state.nowMs()
  const lease = state.leases.get(name)
  const isOver = lease === undefined || lease.expiresAtMs <= nowMs
  if (!isOver && !(lease.holder === holder && lease.epoch === epoch)) return undefined
  const term = { name, holder, epoch: isOver ? (lease?.epoch ?? 0) + 1 : lease.epoch }
  state.leases.set(name, { ...term, expiresAtMs: nowMs + ttlMs })
  return term
}

function holdsLease(state: TwinState, term: DutyTerm): boolean {
  const lease = state.leases.get(term.name)
  return lease?.holder === term.holder && lease.epoch === term.epoch && lease.expiresAtMs > state.nowMs()
}

function openSources(state: TwinState): { job: HeldJob; source: JobSource }[] {
  const open = [...state.jobs.values()].filter((job) => job.state !== 'done' && job.state !== 'stale')
  return open.flatMap((job) => job.sources.map((source) => ({ job, source })))
}

export function waitingSegments(state: TwinState): WaitingSegment[] {
  const taken = new Set(openSources(state).map(({ source }) => source.objectId))
  return [...state.objects.values()]
    .filter(({ objectId, level, datasets }) => level === 0 && !taken.has(objectId) && datasets.some((d) => d.isLive))
    .map(({ objectId, sizeBytes, createdAtMs }) => ({ objectId, sizeBytes, createdAtMs }))
}

/** Parked datasets are left out, those of other open jobs are held. */
export function waitingDatasets(state: TwinState): WaitingDataset[] {
  const holders = new Map<string, HeldJob>()
  for (const { job, source } of openSources(state))
    for (const index of source.indexes) holders.set(`${source.objectId}/${index}`, job)
  const live = [...state.objects.values()].flatMap(({ objectId, level, createdAtMs, datasets }) =>
    (level === 0 ? [] : datasets.filter(({ isLive }) => isLive)).flatMap(({ descriptor }) => {
      const { index, tenant, service, windowStartMs, sizeBytes } = descriptor
      const holder = holders.get(`${objectId}/${index}`)
      if (holder?.state === 'parked') return []
      const isHeld = holder !== undefined
      return [{ objectId, index, level, tenant, service, windowStartMs, sizeBytes, createdAtMs, isHeld }]
    }),
  )
  return live.some(({ level }) => level < LAST_LEVEL) ? live : []
}

/** Returns how many jobs were made: 0 also if the lease has moved, or if another planner had a source first. */
export function insertSegmentJobs(state: TwinState, jobs: readonly SegmentJob[], term: DutyTerm): number {
  const named = jobs.map(({ level, sizeBytes, objectIds }) => ({
    level,
    sizeBytes,
    sources: objectIds.map((objectId) => ({ objectId, indexes: undefined, scope: '' })),
  }))
  return insertJobs(state, named, term)
}

export function insertWindowJobs(state: TwinState, jobs: readonly WindowJob[], term: DutyTerm): number {
  const named = jobs.map(({ level, sizeBytes, scope, sources }) => ({
    level,
    sizeBytes,
    sources: sources.map(({ objectId, indexes }) => ({ objectId, indexes, scope })),
  }))
  return insertJobs(state, named, term)
}

interface NamedJob {
  readonly level: number
  readonly sizeBytes: number
  /** Without indexes: every dataset. */
  readonly sources: readonly { objectId: string; indexes: readonly number[] | undefined; scope: string }[]
}

function insertJobs(state: TwinState, jobs: readonly NamedJob[], term: DutyTerm): number {
  const { fencesPlanner } = state.rules
  if (fencesPlanner && !holdsLease(state, term)) return 0
  const taken = new Set(openSources(state).map(({ source }) => `${source.objectId}/${source.scope}`))
  let made = 0
  for (const { level, sizeBytes, sources } of jobs) {
    const live = sources
      .map(({ objectId, indexes, scope }) => ({ objectId, indexes: liveIndexes(state, objectId, indexes), scope }))
      .filter(({ indexes }) => indexes.length > 0)
    if (live.length === 0) continue
    if (fencesPlanner && live.some(({ objectId, scope }) => taken.has(`${objectId}/${scope}`))) return made
    const jobId = state.nextJobId()
    const rank = state.nowMs() / 1_000 + sizeBytes / state.jobPolicy.ageingBytesPerSecond
    state.jobs.set(jobId, {
      jobId,
      level,
      sizeBytes,
      rank,
      sources: live,
      state: 'queued',
      epoch: 0,
      holder: '',
      failures: 0,
      reason: '',
      notBeforeMs: 0,
      expiresAtMs: 0,
      finishedAtMs: 0,
      outputIds: undefined,
      staleObjectIds: [],
    })
    made++
  }
  return made
}

function liveIndexes(state: TwinState, objectId: string, chosen: readonly number[] | undefined): number[] {
  const { datasets } = state.objects.get(objectId)!
  return datasets.flatMap(({ descriptor: { index }, isLive }) =>
    isLive && (chosen === undefined || chosen.includes(index)) ? [index] : [],
  )
}
