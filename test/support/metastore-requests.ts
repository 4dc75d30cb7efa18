/** Requests to the metastore, made from a few numbers. Ids of profiles are given as numbers: equal numbers are equal ids. */
import type { CommitSegmentRequest, CompactionJob, DatasetDescriptor, OutputObject } from '#core/rpc/metastore.ts'
import { hourStartMs, MS_PER_HOUR } from '#core/units.ts'

export const HOUR_MS = 1_760_000_400_000 - (1_760_000_400_000 % MS_PER_HOUR)

export interface DatasetSpec {
  tenant?: string
  service?: string
  timeMs?: number
  /** Ids of its profiles; a negative number came with neither id nor time and is not deduplicated. */
  profiles: number[]
}

export function makeDescriptor(
  index: number,
  spec: Omit<DatasetSpec, 'profiles'> & { profileCount: number },
): DatasetDescriptor {
  const timeMs = spec.timeMs ?? HOUR_MS
  return {
    index,
    tenant: spec.tenant ?? 'anonymous',
    service: spec.service ?? 'web',
    windowStartMs: hourStartMs(timeMs),
    windowMs: MS_PER_HOUR,
    minTimeMs: timeMs,
    maxTimeMs: timeMs + 1_000,
    offset: 64 + index * 1_000,
    sizeBytes: 1_000,
    headBytes: 200,
    profileCount: spec.profileCount,
    sampleCount: spec.profileCount * 40,
  }
}

export function makeSegment(objectId: string, specs: DatasetSpec[]): CommitSegmentRequest {
  const profiles = specs.flatMap((spec) => spec.profiles)
  const profileIds = new Uint8Array(profiles.length * 16)
  profiles.forEach((number, i) => profileIds.set(profileId(number), i * 16))
  return {
    objectId,
    sizeBytes: 64 + specs.length * 1_000,
    datasets: specs.map((spec, i) => makeDescriptor(i, { ...spec, profileCount: spec.profiles.length })),
    profileIds,
    deduplicate: Uint8Array.from(profiles, (number) => (number < 0 ? 0 : 1)),
    labelSets: specs.map((spec) => ({
      tenant: spec.tenant ?? 'anonymous',
      windowStartMs: hourStartMs(spec.timeMs ?? HOUR_MS),
      pairs: ['__name__', 'process_cpu', 'service_name', spec.service ?? 'web'],
    })),
  }
}

/** 16 bytes that look random but are a function of the number: order of numbers is not order of ids. */
export function profileId(number: number): Uint8Array {
  const id = new Uint8Array(16)
  const view = new DataView(id.buffer)
  view.setUint32(0, Math.imul(number, 2_654_435_761))
  view.setInt32(4, number)
  return id
}

export function makeOutput(objectId: string, specs: DatasetSpec[], level = 1): OutputObject {
  return {
    objectId,
    level,
    sizeBytes: 5_000,
    datasets: specs.map((spec, i) => makeDescriptor(i, { ...spec, profileCount: spec.profiles.length })),
  }
}

/** What a worker makes of the job: a dataset for each tenant, service and hour, those of `first` before the others. */
export function mergedOutput(
  objectId: string,
  job: Pick<CompactionJob, 'level' | 'sources'>,
  first = '',
): OutputObject {
  const cells = new Map<string, Required<DatasetSpec>>()
  for (const { descriptor, skip } of job.sources.flatMap(({ datasets }) => datasets)) {
    const { tenant, service, windowStartMs, minTimeMs, profileCount } = descriptor
    const key = JSON.stringify([tenant === first ? 0 : 1, tenant, service, windowStartMs])
    const cell = cells.get(key) ?? { tenant, service, timeMs: minTimeMs, profiles: [] }
    cell.profiles.push(...Array.from({ length: profileCount - skip.length }, () => 0))
    cells.set(key, cell)
  }
  const specs = [...cells].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, cell]) => cell)
  return makeOutput(objectId, specs, job.level)
}
