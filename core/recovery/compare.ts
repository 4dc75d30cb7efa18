/**
 * Index against bucket, one object at a time: what is wrong, and what a repair does about it. Pure; the caller looks.
 */
import type { RecoveryFinding } from '../rpc/recovery.ts'
import { MS_PER_DAY } from '../units.ts'
import { ulidTimeMs } from '../wire/ulid.ts'

/** How the index stands to an object that is in the bucket. */
export interface ObjectStanding {
  readonly objectId: string
  readonly isRegistered: boolean
  /** It was given up before any commit. */
  readonly isRetired: boolean
  /** Undefined = no row of its own: retired, or under quarantine. */
  readonly liveDatasets: number | undefined
  readonly isDeleted: boolean
  readonly hasTombstone: boolean
}

export type Mend = 'none' | 'bury' | 'keep'

export interface Judgement {
  readonly finding: RecoveryFinding
  /** `bury`: a tombstone; `keep`: its tombstone goes. */
  readonly mend: Mend
}

/** Younger objects may be on their way to their commit. */
const UNKNOWN_AGE_MIN_MS = MS_PER_DAY

/** Of an object that the bucket has. Undefined: nothing is wrong. */
export function judgeStored(standing: ObjectStanding, nowMs: number): Judgement | undefined {
  const { objectId, isRegistered, isRetired, liveDatasets, isDeleted, hasTombstone } = standing
  const tell = (kind: string, detail: string, mend: string, action: Mend): Judgement => ({
    finding: { kind, subject: objectId, detail, mend, isMended: false },
    mend: action,
  })
  if (!isRegistered) {
    if (nowMs - ulidTimeMs(objectId) < UNKNOWN_AGE_MIN_MS) return undefined
    return tell('unknown-object', 'no commit named it', 'the search for orphans collects it', 'none')
  }
  if (hasTombstone) {
    if (liveDatasets === undefined || liveDatasets === 0) return undefined
    const detail = `${liveDatasets} live datasets, and a tombstone: it would be deleted`
    return tell('dangling-tombstone', detail, 'the tombstone is taken away', 'keep')
  }
  if (liveDatasets === undefined && !isRetired)
    return tell('unreadable-object', 'under quarantine: a rebuild could not read it', '', 'none')
  if (isDeleted)
    return tell('lost-tombstone', 'it counts as deleted, and is still in the bucket', 'a tombstone', 'bury')
  if (liveDatasets === undefined || liveDatasets === 0)
    return tell('lost-tombstone', 'nothing of it is live, and nobody would delete it', 'a tombstone', 'bury')
  return undefined
}

/** What footer and index must agree on. */
export interface ComparedDataset {
  readonly index: number
  readonly tenant: string
  readonly service: string
  readonly offset: number
  readonly sizeBytes: number
  readonly profileCount: number
  readonly sampleCount: number
  readonly minTimeMs: number
  readonly maxTimeMs: number
}

const FIELDS = [
  'tenant',
  'service',
  'offset',
  'sizeBytes',
  'profileCount',
  'sampleCount',
  'minTimeMs',
  'maxTimeMs',
] as const

/** The first difference, in words; undefined if there is none. The index may hold fewer datasets than the footer. */
export function compareDatasets(
  index: readonly ComparedDataset[],
  footer: readonly ComparedDataset[],
): string | undefined {
  for (const held of index) {
    const stored = footer[held.index]
    if (stored === undefined) return `the index has dataset ${held.index}, the footer names ${footer.length}`
    for (const field of FIELDS)
      if (held[field] !== stored[field])
        return `dataset ${held.index}: ${field} is ${JSON.stringify(held[field])} in the index, ${JSON.stringify(stored[field])} in the footer`
  }
  return undefined
}
