/**
 * What a plan costs, known before anything is read: bytes, datasets and headers, from the plan alone.
 *
 * It is what a query may read at most: whole hours come from rollups, neighbours share a range, caches hold what was
 * read before. Admission and budgets take it as it is, so that neither depends on a cache.
 */
import type { DatasetDescriptor, SourceObject } from '../rpc/metastore.ts'

/** What a query reads of each dataset: heads alone, ids of profiles with them, or everything. */
export type ReadKind = 'heads' | 'ids' | 'samples'

export interface PlanCost {
  readonly objects: number
  readonly datasets: number
  readonly bytes: number
  /** Headers: no answer has more series than there are. */
  readonly profiles: number
  readonly samples: number
}

const PROFILE_ID_BYTES = 16

export function readBytesOf({ sizeBytes, headBytes, profileCount }: DatasetDescriptor, kind: ReadKind): number {
  if (kind === 'samples') return sizeBytes
  return kind === 'heads' ? headBytes : Math.min(sizeBytes, headBytes + profileCount * PROFILE_ID_BYTES)
}

export function costOfPlan(objects: readonly SourceObject[], kind: ReadKind): PlanCost {
  const cost = { objects: objects.length, datasets: 0, bytes: 0, profiles: 0, samples: 0 }
  for (const { datasets } of objects) {
    cost.datasets += datasets.length
    for (const { descriptor } of datasets) {
      cost.bytes += readBytesOf(descriptor, kind)
      cost.profiles += descriptor.profileCount
      cost.samples += descriptor.sampleCount
    }
  }
  return cost
}

/** Those that cost most, dearest first: what to leave out of a query that is too large. */
export function dearestServices(
  objects: readonly SourceObject[],
  kind: ReadKind,
  count: number,
): { readonly service: string; readonly bytes: number }[] {
  const byService = new Map<string, number>()
  for (const { datasets } of objects) {
    for (const { descriptor } of datasets) {
      byService.set(descriptor.service, (byService.get(descriptor.service) ?? 0) + readBytesOf(descriptor, kind))
    }
  }
  return [...byService]
    .map(([service, bytes]) => ({ service, bytes }))
    .sort((a, b) => b.bytes - a.bytes || (a.service < b.service ? -1 : 1))
    .slice(0, count)
}

/**
 * The longest range with the same end whose plan keeps to so many bytes, as its length; 0: already the last dataset is too
 * much. A dataset costs the same however little of it is asked for, so ranges get cheaper where datasets end, not evenly.
 */
export function fittingRangeMs(
  objects: readonly SourceObject[],
  kind: ReadKind,
  { endMs, bytes }: { readonly endMs: number; readonly bytes: number },
): number {
  const byEnd = objects
    .flatMap(({ datasets }) => datasets.map(({ descriptor }) => descriptor))
    .sort((a, b) => b.maxTimeMs - a.maxTimeMs)
  let sum = 0
  for (const descriptor of byEnd) {
    sum += readBytesOf(descriptor, kind)
    // The range begins behind this one.
    if (sum > bytes) return Math.max(0, endMs - descriptor.maxTimeMs - 1)
  }
  return Number.POSITIVE_INFINITY
}
