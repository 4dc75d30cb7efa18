/**
 * What a job reads and merges, in which portions. Pure.
 *
 * 1. Datasets of the sources are grouped by tenant, service and the window of the output's level, in the order of an
 *    object's datasets. A group above `GROUP_BYTES_MAX` is cut into pieces, which follow each other in the output.
 * 2. Groups are joined to batches of about `BATCH_BYTES`: one batch is read while the one before is merged.
 * A dataset that no group may hold is named instead: the job is over budget and not tried.
 */
import type { MergeWindow } from '#core/compaction/merge.ts'
import { windowMsOfLevel } from '#core/compaction/policy.ts'
import type { DatasetRef, SourceDataset, SourceObject } from '#core/rpc/metastore.ts'
import { floorTo, MIB } from '#core/units.ts'

/** 8 MiB: a thread merges it in about a second, and few enough bytes are held twice. */
export const BATCH_BYTES = 8 * MIB
/** 64 MiB, the largest job of one service: held whole while it is merged, as stored. */
export const GROUP_BYTES_MAX = 64 * MIB

export interface PlannedDataset {
  /** Position in the job's sources. */
  readonly source: number
  readonly dataset: SourceDataset
}

export interface PlannedGroup {
  readonly tenant: string
  readonly window: MergeWindow
  readonly members: readonly PlannedDataset[]
  readonly sizeBytes: number
}

export interface PlannedBatch {
  readonly groups: readonly PlannedGroup[]
  readonly sizeBytes: number
}

export interface JobPlan {
  readonly batches: readonly PlannedBatch[]
  readonly sizeBytes: number
  /** Datasets above `GROUP_BYTES_MAX`. */
  readonly tooLarge: readonly DatasetRef[]
}

export interface PlanLimits {
  readonly batchBytes: number
  readonly groupBytesMax: number
}

export const PLAN_LIMITS: PlanLimits = { batchBytes: BATCH_BYTES, groupBytesMax: GROUP_BYTES_MAX }

export function planJob(
  job: { readonly level: number; readonly sources: readonly SourceObject[] },
  limits: PlanLimits = PLAN_LIMITS,
): JobPlan {
  const groups = groupDatasets(job).flatMap((group) => cutGroup(group, limits.groupBytesMax))
  const batches: { groups: PlannedGroup[]; sizeBytes: number }[] = []
  for (const group of groups) {
    const open = batches.at(-1)
    if (open !== undefined && open.sizeBytes + group.sizeBytes <= limits.batchBytes) {
      open.groups.push(group)
      open.sizeBytes += group.sizeBytes
    } else batches.push({ groups: [group], sizeBytes: group.sizeBytes })
  }
  const tooLarge = job.sources.flatMap(({ objectId, datasets }) =>
    datasets
      .filter(({ descriptor }) => descriptor.sizeBytes > limits.groupBytesMax)
      .map(({ descriptor }) => ({ objectId, index: descriptor.index })),
  )
  return { batches, sizeBytes: groups.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0), tooLarge }
}

function groupDatasets(job: { readonly level: number; readonly sources: readonly SourceObject[] }): PlannedGroup[] {
  const windowMs = windowMsOfLevel(job.level)
  const groups = new Map<
    string,
    { tenant: string; window: MergeWindow; members: PlannedDataset[]; sizeBytes: number }
  >()
  job.sources.forEach(({ datasets }, source) => {
    for (const dataset of datasets) {
      const { tenant, service, sizeBytes } = dataset.descriptor
      const windowStartMs = floorTo(dataset.descriptor.windowStartMs, windowMs)
      const key = JSON.stringify([tenant, service, windowStartMs])
      let group = groups.get(key)
      if (group === undefined) {
        group = { tenant, window: { windowStartMs, windowMs }, members: [], sizeBytes: 0 }
        groups.set(key, group)
      }
      group.members.push({ source, dataset })
      group.sizeBytes += sizeBytes
    }
  })
  return [...groups.values()].sort(compareGroups)
}

function compareGroups(a: PlannedGroup, b: PlannedGroup): number {
  const [left, right] = [a.members[0]!.dataset.descriptor, b.members[0]!.dataset.descriptor]
  if (left.tenant !== right.tenant) return left.tenant < right.tenant ? -1 : 1
  if (left.service !== right.service) return left.service < right.service ? -1 : 1
  return a.window.windowStartMs - b.window.windowStartMs
}

function cutGroup(group: PlannedGroup, bytesMax: number): PlannedGroup[] {
  if (group.sizeBytes <= bytesMax) return [group]
  const pieces: { members: PlannedDataset[]; sizeBytes: number }[] = []
  for (const member of group.members) {
    const { sizeBytes } = member.dataset.descriptor
    const open = pieces.at(-1)
    if (open !== undefined && open.sizeBytes + sizeBytes <= bytesMax) {
      open.members.push(member)
      open.sizeBytes += sizeBytes
    } else pieces.push({ members: [member], sizeBytes })
  }
  return pieces.map((piece) => ({ ...group, ...piece }))
}
