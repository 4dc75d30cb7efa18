/**
 * Splits a plan into calls to query-backends by the bytes of its datasets, as a pure function: the same plan gives the
 * same calls, so that a backend may cache by what it is asked.
 *
 * Datasets are taken in the order of the plan; an object whose datasets do not fit goes on in the next call.
 */
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

export function splitPlan(objects: readonly SourceObject[], limits: SplitLimits = SPLIT_DEFAULT): SourceObject[][] {
  const calls: SourceObject[][] = []
  let call: SourceObject[] = []
  let bytes = 0
  let datasets = 0
  for (const object of objects) {
    let part: SourceDataset[] = []
    for (const dataset of object.datasets) {
      const isFull =
        datasets > 0 && (bytes + dataset.descriptor.sizeBytes > limits.bytes || datasets >= limits.datasets)
      if (isFull) {
        if (part.length > 0) call.push({ ...object, datasets: part })
        calls.push(call)
        call = []
        part = []
        bytes = 0
        datasets = 0
      }
      part.push(dataset)
      bytes += dataset.descriptor.sizeBytes
      datasets++
    }
    if (part.length > 0) call.push(part.length === object.datasets.length ? object : { ...object, datasets: part })
  }
  if (call.length > 0) calls.push(call)
  return calls
}
