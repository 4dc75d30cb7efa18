/**
 * Splits a plan into calls to query-backends by the bytes that they will read, as a pure function: the same plan gives the
 * same calls, so that a backend may cache by what it is asked.
 *
 * 1. Objects of one owner stay together, in the order of the plan; an object whose datasets do not fit goes on in the
 *    next call.
 * 2. Calls of the owners take turns, so that those which run at once are spread over all backends.
 */
import { readBytesOf, type ReadKind } from '#core/query/plan-cost.ts'
import type { SourceDataset, SourceObject } from '#core/rpc/metastore.ts'

export interface SplitLimits {
  /** A call closes when it holds this much. A dataset is never divided. */
  readonly bytes: number
  readonly datasets: number
}

/**
 * 32 MiB are about a second of reading from a remote store at 8 ranges at once; 512 datasets bound the calls over
 * fresh segments, where one dataset has a few KiB and each costs a range read.
 */
export const SPLIT_DEFAULT: SplitLimits = { bytes: 32 * 1024 * 1024, datasets: 512 }

export interface SplitOptions {
  readonly limits?: SplitLimits
  readonly reads?: ReadKind
  /** Which backend has an object; absent: there is one. */
  readonly ownerOf?: ((objectId: string) => string) | undefined
}

export interface PlannedCall {
  readonly objects: SourceObject[]
  readonly bytes: number
}

export function splitPlan(objects: readonly SourceObject[], options: SplitOptions = {}): PlannedCall[] {
  const { limits = SPLIT_DEFAULT, reads = 'samples', ownerOf } = options
  if (ownerOf === undefined) return splitGroup(objects, limits, reads)
  const groups = new Map<string, SourceObject[]>()
  for (const object of objects) {
    const owner = ownerOf(object.objectId)
    const group = groups.get(owner)
    if (group === undefined) groups.set(owner, [object])
    else group.push(object)
  }
  const calls = [...groups.values()].map((group) => splitGroup(group, limits, reads))
  const turns = Math.max(0, ...calls.map(({ length }) => length))
  return Array.from({ length: turns }, (_, turn) => calls.flatMap((group) => group.slice(turn, turn + 1))).flat()
}

function splitGroup(objects: readonly SourceObject[], limits: SplitLimits, reads: ReadKind): PlannedCall[] {
  const calls: PlannedCall[] = []
  let call: SourceObject[] = []
  let bytes = 0
  let datasets = 0
  for (const object of objects) {
    let part: SourceDataset[] = []
    for (const dataset of object.datasets) {
      const readBytes = readBytesOf(dataset.descriptor, reads)
      const isFull = datasets > 0 && (bytes + readBytes > limits.bytes || datasets >= limits.datasets)
      if (isFull) {
        if (part.length > 0) call.push({ ...object, datasets: part })
        calls.push({ objects: call, bytes })
        call = []
        part = []
        bytes = 0
        datasets = 0
      }
      part.push(dataset)
      bytes += readBytes
      datasets++
    }
    if (part.length > 0) call.push(part.length === object.datasets.length ? object : { ...object, datasets: part })
  }
  if (call.length > 0) calls.push({ objects: call, bytes })
  return calls
}
