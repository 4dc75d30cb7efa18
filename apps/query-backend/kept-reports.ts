/**
 * Partial answers over whole objects, kept from call to call: a dashboard that asks again pays for what is new.
 *
 * 1. Only objects whose profiles all lie inside the range count: what they give does not depend on its ends. What an end
 *    cuts is read as ever.
 * 2. The key is the question without its range, the object, and its datasets with their skip lists.
 * 3. A first question leaves a mark and nothing else, so that one that is never asked again costs what it costs without
 *    this. The second one packs what each object gives, from the third on that is merged.
 */
import type { BlockCache } from '#core/query/block-cache.ts'
import type { SourceObject } from '#core/rpc/metastore.ts'
import type { ReadStats } from '#core/rpc/query-backend.ts'
import { datasetKey } from './kept-blocks.ts'
import { namingObject, type ReadDataset } from './read-objects.ts'

const MARK = { kind: 'mark' } as const
/** Of a mark, and of what surrounds a report; the key comes on top. */
const ENTRY_BYTES = 1_024
/** A key names every dataset of its object: of a segment with 500 services it has 60,000 characters. */
const KEY_CHAR_BYTES = 2

interface Report<Packed> {
  readonly kind: 'report'
  readonly packed: Packed
  readonly profiles: number
}

/** The question without its range. */
export interface Question {
  readonly shape: string
  /** Profiles must lie above the one and below the other. */
  readonly afterMs: number
  readonly beforeMs: number
}

export interface ReportWork<State, Packed> {
  readonly question: Question
  readonly stats: ReadStats
  readonly read: (objects: readonly SourceObject[]) => AsyncIterable<ReadDataset>
  /** What everything is merged into. */
  readonly total: State
  readonly begin: () => State
  readonly add: (dataset: ReadDataset, state: State) => void
  /** Ends the use of a state. */
  readonly pack: (state: State) => { readonly packed: Packed; readonly sizeBytes: number }
  readonly merge: (packed: Packed, total: State) => void
}

/** Without a cache: reads and adds. */
export async function mergeObjects<State, Packed>(
  cache: BlockCache | undefined,
  objects: readonly SourceObject[],
  work: ReportWork<State, Packed>,
): Promise<void> {
  const { stats, total } = work
  const unknown: SourceObject[] = []
  const keys = new Map<SourceObject, string>()
  for (const object of objects) {
    const key = cache === undefined || !liesInside(object, work.question) ? undefined : reportKey(object, work.question)
    const found = key === undefined ? undefined : (cache?.get(key) as Report<Packed> | typeof MARK | undefined)
    if (found?.kind === 'report') {
      work.merge(found.packed, total)
      stats.datasets += object.datasets.length
      stats.keptReports = (stats.keptReports ?? 0) + object.datasets.length
      stats.profiles += found.profiles
      continue
    }
    unknown.push(object)
    if (key !== undefined && found === undefined) cache?.set(key, MARK, entryBytes(key))
    else if (key !== undefined) keys.set(object, key)
  }
  let own: { readonly key: string; readonly state: State; profiles: number; readonly object: SourceObject } | undefined
  const finish = (): void => {
    if (own === undefined) return
    const { packed, sizeBytes } = work.pack(own.state)
    const report: Report<Packed> = { kind: 'report', packed, profiles: own.profiles }
    cache?.set(own.key, report, sizeBytes + entryBytes(own.key))
    work.merge(packed, total)
    own = undefined
  }
  const add = (dataset: ReadDataset, state: State): void => {
    try {
      work.add(dataset, state)
    } catch (error) {
      throw namingObject(error, dataset.object.objectId)
    }
  }
  for await (const dataset of work.read(unknown)) {
    if (own !== undefined && own.object !== dataset.object) finish()
    const key = keys.get(dataset.object)
    if (key === undefined) {
      add(dataset, total)
      continue
    }
    own ??= { key, state: work.begin(), profiles: 0, object: dataset.object }
    own.profiles += dataset.profileCount
    add(dataset, own.state)
  }
  finish()
}

function entryBytes(key: string): number {
  return ENTRY_BYTES + key.length * KEY_CHAR_BYTES
}

function liesInside({ datasets }: SourceObject, { afterMs, beforeMs }: Question): boolean {
  return datasets.every(({ descriptor: { minTimeMs, maxTimeMs } }) => minTimeMs > afterMs && maxTimeMs < beforeMs)
}

function reportKey({ objectId, datasets }: SourceObject, { shape }: Question): string {
  const parts = datasets.map(({ descriptor, skip }) => `${datasetKey(objectId, descriptor)} ${skip.join()}`)
  return `report ${shape} ${parts.join(' ')}`
}
