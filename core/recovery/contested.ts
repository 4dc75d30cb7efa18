/**
 * Where the same profile may lie in two live datasets: same tenant and service, overlapping times, different origin (the
 * attempt that wrote them, or the segment). Only there ids have to be read; elsewhere the footers are proof enough.
 */

export interface ContestedDataset {
  readonly tenant: string
  readonly service: string
  readonly minTimeMs: number
  readonly maxTimeMs: number
  /** Datasets of one origin share no profile. */
  readonly origin: string
}

/** Groups of datasets that are connected by overlap and have several origins; each dataset is in one group at most. */
export function findContested<T extends ContestedDataset>(datasets: readonly T[]): T[][] {
  const byKey = new Map<string, T[]>()
  for (const dataset of datasets) {
    const key = JSON.stringify([dataset.tenant, dataset.service])
    const list = byKey.get(key)
    if (list === undefined) byKey.set(key, [dataset])
    else list.push(dataset)
  }
  return [...byKey.values()].flatMap(groupsOf).filter((group) => new Set(group.map(({ origin }) => origin)).size > 1)
}

function groupsOf<T extends ContestedDataset>(datasets: T[]): T[][] {
  const groups: T[][] = []
  let endMs = Number.NEGATIVE_INFINITY
  for (const dataset of datasets.sort((a, b) => a.minTimeMs - b.minTimeMs)) {
    if (dataset.minTimeMs > endMs) groups.push([])
    groups.at(-1)!.push(dataset)
    endMs = Math.max(endMs, dataset.maxTimeMs)
  }
  return groups
}

/**
 * Positions whose profile id was seen before, ascending; the rest is remembered in `seen`. `ids`: 16 bytes each. Of one
 * dataset all ids differ, so what is found was counted by another one.
 */
export function skipSeen(ids: Uint8Array, seen: Set<string>): number[] {
  const skip: number[] = []
  for (let position = 0; position * 16 < ids.length; position++) {
    const id = String.fromCharCode(...ids.subarray(position * 16, position * 16 + 16))
    if (seen.has(id)) skip.push(position)
    else seen.add(id)
  }
  return skip
}
