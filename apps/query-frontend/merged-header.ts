/** What a merged pprof says of itself, from the profile type and the range: as clients have always got it. */
import { parseProfileType } from '#core/labels/profile-type.ts'
import type { MergedHeader } from '#core/pprof/encode-merged.ts'

/** Of profiles by name: one second of CPU, and the bytes between two samples of Go's heap. 1 for the rest. */
const PERIODS: ReadonlyMap<string, bigint> = new Map([
  ['process_cpu', 1_000_000_000n],
  ['memory', 524_288n],
])
const NANOS_PER_MS = 1_000_000n

/** A file outlives the headers of its answer: what it lacks is said inside of it. */
export function mergedHeaderOf(profileType: string, endMs: number, comments: readonly string[] = []): MergedHeader {
  const { name, sampleType, sampleUnit, periodType, periodUnit } = parseProfileType(profileType)
  return {
    sampleType: { type: sampleType, unit: sampleUnit },
    periodType: { type: periodType, unit: periodUnit },
    period: PERIODS.get(name) ?? 1n,
    timeNanos: BigInt(Math.floor(endMs)) * NANOS_PER_MS,
    comments,
  }
}
