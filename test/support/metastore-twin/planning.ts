/**
 * The planner's statements: leases of duties with their epochs, what waits, and the entry of planned jobs under a lease.
 * What is planned from these is decided by core/compaction.
 */
import type { SegmentJob, WaitingSegment } from '#core/compaction/plan.ts'
import type { WaitingDataset, WindowJob } from '#core/compaction/plan-windows.ts'
import { compactedTenants, isCompacted } from '#core/compaction/tenant-switch.ts'
import { LAST_LEVEL } from '#core/compaction/policy.ts'
import type { HeldDataset, HeldJob, JobSource, TwinState } from './state.ts'
import { isVisible } from './tenants.ts'

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

/** By `object/index`: the open job that has the dataset. */
function holdersOf(state: TwinState): Map<string, HeldJob> {
  const holders = new Map<string, HeldJob>()
  for (const { job, source } of openSources(state))
    for (const index of source.indexes) holders.set(`${source.objectId}/${index}`, job)
  return holders
}

/** A segment that is planned in part counts with the bytes of that part. */
export function waitingSegments(state: TwinState): WaitingSegment[] {
  const holders = holdersOf(state)
  return [...state.objects.values()].flatMap(({ objectId, level, sizeBytes, createdAtMs, datasets }) => {
    const free =
      level === 0
        ? datasets.filter((dataset) => isPlannable(state, objectId, dataset) && isFree(holders, objectId, dataset))
        : []
    if (free.length === 0) return []
    const freeBytes = free.reduce((sum, { descriptor }) => sum + descriptor.sizeBytes, 0)
    return [{ objectId, sizeBytes: free.length === datasets.length ? sizeBytes : freeBytes, createdAtMs }]
  })
}

/** Visible, of a tenant that is compacted, and not marked. */
function isPlannable(state: TwinState, objectId: string, dataset: HeldDataset): boolean {
  const { tenant, index } = dataset.descriptor
  if (!isVisible(state, dataset)) return false
  if (state.marks.has(markKey(objectId, tenant, -1)) || state.marks.has(markKey(objectId, tenant, index))) return false
  return isCompacted(tenant, compactedTenants(state.jobPolicy, [...state.switches.values()]))
}

export function markKey(objectId: string, tenant: string, index: number): string {
  return JSON.stringify([objectId, tenant, index])
}

function isFree(holders: ReadonlyMap<string, HeldJob>, objectId: string, { descriptor }: HeldDataset): boolean {
  return !holders.has(`${objectId}/${descriptor.index}`)
}

/** Parked datasets are left out, those of other open jobs are held. */
export function waitingDatasets(state: TwinState): WaitingDataset[] {
  const holders = holdersOf(state)
  const live = [...state.objects.values()].flatMap(({ objectId, level, createdAtMs, datasets }) =>
    (level === 0 ? [] : datasets.filter((dataset) => isPlannable(state, objectId, dataset))).flatMap(
      ({ descriptor }) => {
        const { index, tenant, service, windowStartMs, sizeBytes } = descriptor
        const holder = holders.get(`${objectId}/${index}`)
        if (holder?.state === 'parked') return []
        const isHeld = holder !== undefined
        return [{ objectId, index, level, tenant, service, windowStartMs, sizeBytes, createdAtMs, isHeld }]
      },
    ),
  )
  return live.some(({ level }) => level < LAST_LEVEL) ? live : []
}

/** Returns how many jobs were made: 0 also if the lease has moved, or if another planner had a source first. */
export function insertSegmentJobs(state: TwinState, jobs: readonly SegmentJob[], term: DutyTerm): number {
  const named = jobs.map(({ level, objectIds }) => ({
    level,
    sources: objectIds.map((objectId) => ({ objectId, indexes: undefined, scope: undefined })),
  }))
  return insertJobs(state, named, term)
}

export function insertWindowJobs(state: TwinState, jobs: readonly WindowJob[], term: DutyTerm): number {
  const named = jobs.map(({ level, scope, sources }) => ({
    level,
    sources: sources.map(({ objectId, indexes }) => ({ objectId, indexes, scope })),
  }))
  return insertJobs(state, named, term)
}

interface NamedJob {
  readonly level: number
  /** Without indexes: all that no open job has. Without a scope: the first of them. */
  readonly sources: readonly {
    readonly objectId: string
    readonly indexes: readonly number[] | undefined
    readonly scope: string | undefined
  }[]
}

function insertJobs(state: TwinState, jobs: readonly NamedJob[], term: DutyTerm): number {
  const { fencesPlanner } = state.rules
  if (fencesPlanner && !holdsLease(state, term)) return 0
  const scopes = new Set(openSources(state).map(({ source }) => `${source.objectId}/${source.scope}`))
  const holders = fencesPlanner ? holdersOf(state) : new Map<string, HeldJob>()
  const made = jobs.flatMap(({ level, sources }) => {
    const live = sources.flatMap(({ objectId, indexes, scope }) => {
      const free = freeIndexes(state, { objectId, indexes }, holders)
      return free.length === 0 ? [] : [{ objectId, indexes: free, scope: scope ?? String(free[0]) }]
    })
    return live.length === 0 ? [] : [{ level, sources: live }]
  })
  // A statement: all of its jobs, or none.
  const isTaken = made.some(({ sources }) => sources.some(({ objectId, scope }) => scopes.has(`${objectId}/${scope}`)))
  if (fencesPlanner && isTaken) return 0
  for (const job of made) state.addJob(job)
  return made.length
}

/** Named datasets are taken if they live; unnamed ones only if no open job has them. */
function freeIndexes(
  state: TwinState,
  { objectId, indexes }: { readonly objectId: string; readonly indexes: readonly number[] | undefined },
  holders: ReadonlyMap<string, HeldJob>,
): number[] {
  const { datasets } = state.objects.get(objectId)!
  const chosen = datasets.filter((dataset) => {
    if (!isPlannable(state, objectId, dataset)) return false
    return indexes === undefined ? isFree(holders, objectId, dataset) : indexes.includes(dataset.descriptor.index)
  })
  return chosen.map(({ descriptor }) => descriptor.index)
}
