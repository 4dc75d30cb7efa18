/**
 * Planning of first compaction: from the waiting segments to jobs. Pure: no clock, no I/O; the caller stores the jobs.
 *
 * 1. Nothing happens until one trigger holds: enough segments, enough bytes, or the oldest is old enough.
 * 2. Then all waiting segments go, in arrival order, cut into jobs of nearly equal count below the caps.
 * 3. Small jobs come first.
 * The result does not depend on the order of the input; every segment is in exactly one job, or no job is made.
 */
import { assert } from '../assert.ts'
import { FIRST_LEVEL, type SegmentCompactionPolicy } from './policy.ts'

export interface WaitingSegment {
  readonly objectId: string
  readonly sizeBytes: number
  readonly createdAtMs: number
}

export interface SegmentJob {
  /** Level of the output. */
  readonly level: number
  readonly objectIds: readonly string[]
  readonly sizeBytes: number
}

/** Why segments are compacted now; undefined while they wait. */
export function triggerOf(
  waiting: readonly WaitingSegment[],
  policy: SegmentCompactionPolicy,
  nowMs: number,
): 'count' | 'bytes' | 'age' | undefined {
  let sizeBytes = 0
  let oldestMs = Number.POSITIVE_INFINITY
  for (const segment of waiting) {
    sizeBytes += segment.sizeBytes
    oldestMs = Math.min(oldestMs, segment.createdAtMs)
  }
  if (waiting.length >= policy.triggerCount) return 'count'
  if (waiting.length > 0 && sizeBytes >= policy.triggerBytes) return 'bytes'
  if (nowMs - oldestMs >= policy.triggerAgeMs) return 'age'
  return undefined
}

export function planSegmentJobs(
  waiting: readonly WaitingSegment[],
  policy: SegmentCompactionPolicy,
  nowMs: number,
): SegmentJob[] {
  assert(policy.jobSegmentsMax >= 1, 'a job holds at least one segment')
  if (triggerOf(waiting, policy, nowMs) === undefined) return []
  const inArrivalOrder = [...waiting].sort(byArrival)
  // 33 segments make 17 + 16 and not 32 + 1: equal jobs end together, and no output is tiny for want of two inputs.
  const jobCountMin = Math.ceil(inArrivalOrder.length / policy.jobSegmentsMax)
  const segmentsMax = Math.ceil(inArrivalOrder.length / jobCountMin)
  const jobs: { level: number; objectIds: string[]; sizeBytes: number }[] = []
  for (const segment of inArrivalOrder) {
    const open = jobs.at(-1)
    const fits =
      open !== undefined &&
      open.objectIds.length < segmentsMax &&
      open.sizeBytes + segment.sizeBytes <= policy.jobBytesMax
    if (fits) {
      open.objectIds.push(segment.objectId)
      open.sizeBytes += segment.sizeBytes
    } else {
      jobs.push({ level: FIRST_LEVEL, objectIds: [segment.objectId], sizeBytes: segment.sizeBytes })
    }
  }
  assert(jobs.reduce((count, job) => count + job.objectIds.length, 0) === waiting.length, 'every segment is in a job')
  return jobs.sort((a, b) => a.sizeBytes - b.sizeBytes)
}

function byArrival(a: WaitingSegment, b: WaitingSegment): number {
  return a.createdAtMs - b.createdAtMs || (a.objectId < b.objectId ? -1 : a.objectId > b.objectId ? 1 : 0)
}
