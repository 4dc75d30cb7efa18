/**
 * Planning above first compaction: tiers inside an hour, then closed hours, 6 h and 24 h. Pure: the live datasets and the
 * time in, jobs out; the result does not depend on the order of the input.
 *
 * 1. Tiers: once `tierFanIn` objects of one level hold an hour of a tenant, all that these objects hold of the hour and
 *    level goes up one level, the tenants that share them included.
 * 2. A stage (hour, 6 h, 24 h) takes a tenant's window once it is closed: its end and the grace have passed, nothing
 *    arrived lately (or the first block was awaited for too long), and no job of another stage or pass works in it.
 * 3. By service: without a block of the stage everything of lower levels is merged into one. With one, what lies lower is
 *    late: it stays beside the block until its bytes or its number pass the policy, then both are written anew.
 *    Under a block of a higher stage only the hour stage writes: late data becomes one small block of its hour.
 * 4. Jobs are filled service by service up to the byte budget. Every job lifts at least one dataset or joins two.
 */
import { floorTo } from '../units.ts'
import { CLOSED_LEVEL, LAST_LEVEL, TIER_LEVEL_MAX, WINDOW_STAGES } from './policy.ts'
import type { WindowCompactionPolicy, WindowStage } from './policy.ts'

/** A live dataset of level 1 or above. */
export interface WaitingDataset {
  readonly objectId: string
  readonly index: number
  readonly level: number
  readonly tenant: string
  readonly service: string
  readonly windowStartMs: number
  readonly sizeBytes: number
  /** When its object was committed. */
  readonly createdAtMs: number
  /** An open job has it: it is neither planned nor overtaken. */
  readonly isHeld: boolean
}

export interface WindowJob {
  /** Level of the output. */
  readonly level: number
  /** Unique among the open jobs that an object is in. */
  readonly scope: string
  readonly sources: readonly { readonly objectId: string; readonly indexes: readonly number[] }[]
  readonly sizeBytes: number
  /** Of the output, of the first dataset's window. */
  readonly windowStartMs: number
  readonly windowMs: number
}

export function planWindowJobs(
  datasets: readonly WaitingDataset[],
  policy: WindowCompactionPolicy,
  nowMs: number,
): WindowJob[] {
  const sorted = [...datasets].sort(compareDatasets)
  const closing: WindowJob[] = []
  let rest: readonly WaitingDataset[] = sorted
  for (const stage of WINDOW_STAGES) {
    const jobs = planStage(rest, stage, { policy, nowMs })
    rest = markHeld(rest, jobs)
    closing.push(...jobs)
  }
  const tiers = planTiers(rest, policy)
  // Tiers first: they bound what queries of the current hour open.
  return [...tiers, ...closing].slice(0, policy.jobsPerPassMax)
}

function compareDatasets(a: WaitingDataset, b: WaitingDataset): number {
  return (
    compareText(a.tenant, b.tenant) ||
    compareText(a.service, b.service) ||
    a.windowStartMs - b.windowStartMs ||
    compareText(a.objectId, b.objectId) ||
    a.index - b.index
  )
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function markHeld(datasets: readonly WaitingDataset[], jobs: readonly WindowJob[]): readonly WaitingDataset[] {
  if (jobs.length === 0) return datasets
  const taken = new Set<string>()
  for (const { sources } of jobs)
    for (const { objectId, indexes } of sources) for (const index of indexes) taken.add(`${objectId}/${index}`)
  return datasets.map((dataset) =>
    taken.has(`${dataset.objectId}/${dataset.index}`) ? { ...dataset, isHeld: true } : dataset,
  )
}

function groupBy<T>(items: readonly T[], keyOfItem: (item: T) => string | number): T[][] {
  const groups = new Map<string | number, T[]>()
  for (const item of items) {
    const key = keyOfItem(item)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [item])
    else group.push(item)
  }
  return [...groups.values()]
}

function sumBytes(datasets: readonly WaitingDataset[]): number {
  return datasets.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
}

function planTiers(datasets: readonly WaitingDataset[], policy: WindowCompactionPolicy): WindowJob[] {
  const inTiers = datasets.filter(({ level, isHeld }) => level <= TIER_LEVEL_MAX && !isHeld)
  return groupBy(inTiers, ({ windowStartMs, level }) => `${windowStartMs},${level}`).flatMap((slice) => {
    const { level } = slice[0]!
    // A block of half a job cannot be joined with its like.
    const small = slice.filter(({ sizeBytes }) => sizeBytes * 2 <= policy.jobBytesMax)
    const crowded = new Set<string>()
    for (const ofTenant of groupBy(small, ({ tenant }) => tenant)) {
      if (objectCount(ofTenant) >= policy.tierFanIn) for (const { objectId } of ofTenant) crowded.add(objectId)
    }
    const chosen = small.filter(({ objectId }) => crowded.has(objectId))
    const shape = { level: Math.min(level + 1, TIER_LEVEL_MAX), windowMs: WINDOW_STAGES[0]!.windowMs }
    if (level < TIER_LEVEL_MAX) return chunkJobs(chosen, shape, policy)
    // The upper tier is joined with itself, and only where that makes ten blocks one: else it would go on for ever.
    // Pieces in one object are what a merge left whose symbols passed its budget: they count as one.
    const full = groupBy(chosen, cellKey).filter((cell) => objectCount(cell) >= policy.tierFanIn)
    return chunkJobs(full.flat(), shape, policy)
  })
}

function objectCount(datasets: readonly WaitingDataset[]): number {
  return new Set(datasets.map(({ objectId }) => objectId)).size
}

function cellKey({ tenant, service }: WaitingDataset): string {
  return JSON.stringify([tenant, service])
}

interface PlanContext {
  readonly policy: WindowCompactionPolicy
  readonly nowMs: number
}

function planStage(sorted: readonly WaitingDataset[], stage: WindowStage, context: PlanContext): WindowJob[] {
  const windowOf = (dataset: WaitingDataset): number => floorTo(dataset.windowStartMs, stage.windowMs)
  return groupBy(sorted, ({ tenant }) => tenant).flatMap((ofTenant) => {
    // By service: a tenant of thousands has a block each, and each of its cells asks for its own.
    const blocks = Map.groupBy(
      ofTenant.filter(({ level }) => level > stage.level),
      ({ service }) => service,
    )
    const upTo = ofTenant.filter(({ level }) => level <= stage.level)
    return groupBy(upTo, windowOf).flatMap((window) => {
      const startMs = windowOf(window[0]!)
      if (!isClosed(window, { stage, startMs }, context)) return []
      const chosen = groupBy(window, ({ service }) => service).flatMap((cell) => {
        const { service } = cell[0]!
        const isUnderBlock = (blocks.get(service) ?? []).some((block) => coversWindow(block, startMs, stage.windowMs))
        return chooseCell(cell, { stage, isUnderBlock }, context.policy)
      })
      return chunkJobs(chosen, stage, context.policy)
    })
  })
}

function coversWindow(block: WaitingDataset, startMs: number, windowMs: number): boolean {
  const blockMs = WINDOW_STAGES.find(({ level }) => level === block.level)!.windowMs
  return block.windowStartMs <= startMs && startMs + windowMs <= block.windowStartMs + blockMs
}

/** Window of one tenant, its blocks of the stage included. */
function isClosed(
  window: readonly WaitingDataset[],
  of: { readonly stage: WindowStage; readonly startMs: number },
  { policy, nowMs }: PlanContext,
): boolean {
  const sinceEndMs = nowMs - (of.startMs + of.stage.windowMs)
  if (sinceEndMs < policy.graceMs) return false
  if (window.some(({ isHeld }) => isHeld)) return false
  const isQuiet = window.every(
    ({ level, createdAtMs }) => level >= CLOSED_LEVEL || nowMs - createdAtMs >= policy.quietMs,
  )
  return isQuiet || (sinceEndMs >= policy.forceMs && !window.some(({ level }) => level === of.stage.level))
}

/** What the stage merges of one service and window; nothing if it waits. */
function chooseCell(
  cell: readonly WaitingDataset[],
  of: { readonly stage: WindowStage; readonly isUnderBlock: boolean },
  policy: WindowCompactionPolicy,
): readonly WaitingDataset[] {
  const { stage, isUnderBlock } = of
  const lower = cell.filter(({ level }) => level < stage.level)
  if (lower.length === 0) return []
  const base = cell.filter(({ level }) => level === stage.level)
  if (base.length > 0) {
    const isMuch = sumBytes(lower) > sumBytes(base) * policy.lateBytesFraction
    return isMuch || lower.length >= policy.lateBlocksMax ? cell : []
  }
  if (stage.level === CLOSED_LEVEL) return lower
  if (isUnderBlock) return []
  // One block gains nothing by a wider window, until the last stage takes it out of planning.
  return lower.length > 1 || stage.level === LAST_LEVEL ? lower : []
}

/** Jobs of whole services up to the budget. A service above it is cut at its blocks. `chosen` is sorted. */
function chunkJobs(chosen: readonly WaitingDataset[], shape: WindowStage, policy: WindowCompactionPolicy): WindowJob[] {
  const jobs: WaitingDataset[][] = []
  let open: WaitingDataset[] = []
  let openBytes = Number.POSITIVE_INFINITY
  for (const cell of groupBy(chosen, cellKey)) {
    const cellBytes = sumBytes(cell)
    if (cellBytes > policy.jobBytesMax) jobs.push(...cutCell(cell, policy.jobBytesMax))
    else if (openBytes + cellBytes <= policy.jobBytesMax) {
      open.push(...cell)
      openBytes += cellBytes
    } else {
      open = [...cell]
      openBytes = cellBytes
      jobs.push(open)
    }
  }
  return jobs.filter((job) => isProgress(job, shape)).map((job) => toJob(job, shape))
}

/** Blocks that are already of the level come last, so that late ones join each other. */
function cutCell(cell: readonly WaitingDataset[], budgetBytes: number): WaitingDataset[][] {
  const runs: WaitingDataset[][] = []
  for (const dataset of [...cell].sort((a, b) => a.level - b.level)) {
    const open = runs.at(-1)
    if (open !== undefined && sumBytes(open) + dataset.sizeBytes <= budgetBytes) open.push(dataset)
    else runs.push([dataset])
  }
  return runs
}

function isProgress(job: readonly WaitingDataset[], shape: WindowStage): boolean {
  if (job.some(({ level }) => level < shape.level)) return true
  return job.length > 1
}

function toJob(datasets: readonly WaitingDataset[], { level, windowMs }: WindowStage): WindowJob {
  const first = datasets[0]!
  const sources = groupBy(datasets, ({ objectId }) => objectId)
    .map((ofObject) => ({
      objectId: ofObject[0]!.objectId,
      indexes: ofObject.map(({ index }) => index).sort((a, b) => a - b),
    }))
    .sort((a, b) => compareText(a.objectId, b.objectId))
  const windowStartMs = floorTo(first.windowStartMs, windowMs)
  // Positions repeat from object to object: a service of several hours that is cut may begin twice at the same one.
  const scope = JSON.stringify([level, windowStartMs, first.tenant, first.service, first.objectId, first.index])
  return { level, scope, sources, sizeBytes: sumBytes(datasets), windowStartMs, windowMs }
}
