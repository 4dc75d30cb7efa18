/**
 * Reads the datasets of a plan object by object, a few objects ahead of the one that is being merged.
 *
 * 1. Round one: the head of each dataset; where samples are wanted, a dataset below `WHOLE_DATASET_BYTES` is read whole,
 *    which saves its second round. Neighbours are coalesced: a segment is usually one range.
 * 2. Select profiles from the heads; datasets without any are done.
 * 3. Where profiles are selected by id: a round for the ids, and what does not have one of them is done.
 * 4. Round two: symbols, rollups and frames of the rest, coalesced over the object.
 * A client that has gone ends it with `canceled`: nobody may take what was read so far for the answer.
 */
import { coalesceRanges, type ByteRange } from '#core/block/coalesce.ts'
import { objectKey } from '#core/block/object-key.ts'
import { type DatasetHead, decodeProfileIds, FetchedRanges, openDataset } from '#core/block/read.ts'
import { CinderError } from '#core/errors.ts'
import type { LabelsPredicate } from '#core/labels/matcher.ts'
import type { Codec } from '#core/ports/codec.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import { selectProfiles, type SelectedProfiles, stacktracesRanges } from '#core/query/aggregate.ts'
import { keepProfilesById, profileIdRanges } from '#core/query/profile-ids.ts'
import type { CompiledSelector } from '#core/query/sample-selector.ts'
import { planStacktraces, type StacktracePlan } from '#core/query/stacktrace-plan.ts'
import type { SourceDataset, SourceObject } from '#core/rpc/metastore.ts'
import type { ReadStats } from '#core/rpc/query-backend.ts'

export interface ObjectQuery {
  readonly profileType: string
  readonly matches: LabelsPredicate
  /** Matchers or groups name the tenant. */
  readonly showsTenant: boolean
  readonly startMs: number
  readonly endMs: number
  /** `heads`: time series need nothing else. `ids`: also those of profiles. `lines`: samples, and the line level of their stacks. */
  readonly wants: 'heads' | 'ids' | 'samples' | 'lines'
  /** Absent: all samples. */
  readonly selector?: CompiledSelector
}

export interface ReadDataset {
  readonly head: DatasetHead
  readonly fetched: FetchedRanges
  readonly profiles: readonly SelectedProfiles[]
  /** Which samples and rollups the fetched ranges hold; empty if heads were wanted. */
  readonly plan: StacktracePlan
  /** Of all headers, in order; present if ids were wanted. */
  readonly profileIds?: Uint8Array
}

/** 128 KiB: less than what a store sends in the time of one request. */
const WHOLE_DATASET_BYTES = 128 * 1024
/** Objects read ahead: hides the latency of a remote store, and bounds what is held to eight objects' ranges. */
const OBJECTS_AHEAD = 8

export type RangeStore = Pick<ObjectStore, 'getRange'>

/** Whether the caller has gone: an AbortSignal, or a flag that another thread sets. */
export type CallEnd = Pick<AbortSignal, 'aborted'>

export interface ReadDeps {
  readonly store: RangeStore
  readonly codec: Codec
}

interface ReadContext {
  readonly stats: ReadStats
  readonly signal: CallEnd | undefined
}

/** Datasets that have profiles for the query, in the order of the plan. */
export async function* readObjects(
  deps: ReadDeps,
  objects: readonly SourceObject[],
  query: ObjectQuery,
  context: ReadContext,
): AsyncGenerator<ReadDataset> {
  const ahead: Promise<ReadDataset[]>[] = []
  let next = 0
  const fill = (): void => {
    while (next < objects.length && ahead.length < OBJECTS_AHEAD && context.signal?.aborted !== true) {
      const read = readObject(deps, objects[next++]!, query, context)
      // Its error is thrown when its turn comes; until then it must not count as unhandled.
      read.catch(() => undefined)
      ahead.push(read)
    }
  }
  for (fill(); ahead.length > 0; fill()) yield* await ahead.shift()!
  throwIfGone(context.signal)
}

export function throwIfGone(signal: CallEnd | undefined): void {
  if (signal?.aborted === true) throw new CinderError('canceled', 'the client has gone')
}

async function readObject(
  deps: ReadDeps,
  object: SourceObject,
  query: ObjectQuery,
  context: ReadContext,
): Promise<ReadDataset[]> {
  const { codec } = deps
  const { stats } = context
  stats.objects++
  const first = await fetchRanges(
    deps,
    object,
    object.datasets.map(({ descriptor }) => firstRange(descriptor, query.wants)),
    context,
  )
  const selected: Omit<ReadDataset, 'fetched' | 'plan'>[] = []
  for (const { descriptor, skip } of object.datasets) {
    stats.datasets++
    const head = openDataset(first.view(descriptor.offset, descriptor.headBytes), descriptor, codec)
    const profiles = selectProfiles(head, { ...query, skip })
    if (profiles.length === 0) continue
    stats.profiles += profiles.reduce((sum, { positions }) => sum + positions.length, 0)
    selected.push({ head, profiles })
  }
  if (query.wants === 'heads') {
    return selected.map((dataset) => ({ ...dataset, plan: planStacktraces(dataset.head, []), fetched: first }))
  }
  if (query.wants === 'ids') {
    const missing = selected.filter(({ head }) => !isReadWhole(head.descriptor))
    const ids = missing.flatMap(({ head }) => profileIdRanges(head))
    return withIds(selected, { first, rest: await fetchRanges(deps, object, ids, context) })
  }
  const symbols = query.wants === 'lines' ? 'lines' : 'functions'
  const wish = { symbols, row: query.selector?.row } as const
  const named = await keepNamed(selected, query.selector?.profileIds, async (missing) => ({
    first,
    rest: await fetchRanges(deps, object, missing, context),
  }))
  const planned = named.map((dataset) => ({ ...dataset, plan: planStacktraces(dataset.head, dataset.profiles, wish) }))
  const missing = planned
    .filter(({ head }) => !isReadWhole(head.descriptor))
    .flatMap(({ plan }) => stacktracesRanges(plan))
  const second = await fetchRanges(deps, object, missing, context)
  return planned.map((dataset) => ({ ...dataset, fetched: isReadWhole(dataset.head.descriptor) ? first : second }))
}

type HeadDataset = Pick<ReadDataset, 'head' | 'profiles'>

/** Profiles that have one of the ids, in the datasets that have any. */
async function keepNamed(
  datasets: readonly HeadDataset[],
  ids: ReadonlySet<string> | undefined,
  fetch: (missing: ByteRange[]) => Promise<{ readonly first: FetchedRanges; readonly rest: FetchedRanges }>,
): Promise<readonly HeadDataset[]> {
  if (ids === undefined || datasets.length === 0) return datasets
  const missing = datasets.filter(({ head }) => !isReadWhole(head.descriptor))
  const { first, rest } = await fetch(missing.flatMap(({ head }) => profileIdRanges(head)))
  return datasets.flatMap(({ head, profiles }) => {
    const fetched = isReadWhole(head.descriptor) ? first : rest
    const named = keepProfilesById(profiles, decodeProfileIds(head, fetched), ids)
    return named.length === 0 ? [] : [{ head, profiles: named }]
  })
}

function withIds(
  datasets: readonly HeadDataset[],
  { first, rest }: { readonly first: FetchedRanges; readonly rest: FetchedRanges },
): ReadDataset[] {
  return datasets.map((dataset) => {
    const fetched = isReadWhole(dataset.head.descriptor) ? first : rest
    const profileIds = decodeProfileIds(dataset.head, fetched)
    return { ...dataset, plan: planStacktraces(dataset.head, []), fetched, profileIds }
  })
}

function isReadWhole(descriptor: SourceDataset['descriptor']): boolean {
  return descriptor.sizeBytes <= WHOLE_DATASET_BYTES
}

function firstRange(descriptor: SourceDataset['descriptor'], wants: ObjectQuery['wants']): ByteRange {
  const isWhole = wants !== 'heads' && isReadWhole(descriptor)
  const lengthBytes = isWhole ? descriptor.sizeBytes : descriptor.headBytes
  return { offset: descriptor.offset, lengthBytes }
}

async function fetchRanges(
  deps: ReadDeps,
  object: SourceObject,
  wanted: readonly ByteRange[],
  { stats, signal }: ReadContext,
): Promise<FetchedRanges> {
  throwIfGone(signal)
  const key = objectKey(object.objectId)
  const ranges = coalesceRanges(wanted)
  const options = signal instanceof AbortSignal ? { signal } : {}
  const parts = await Promise.all(
    ranges.map(async ({ offset, lengthBytes }) => ({
      offset,
      bytes: await deps.store.getRange(key, offset, lengthBytes, options),
    })),
  )
  stats.ranges += ranges.length
  for (const { lengthBytes } of ranges) stats.bytes += lengthBytes
  // Every column chunk is a view: a merge of millions of rows ends within one frame of them.
  return new FetchedRanges(parts, () => throwIfGone(signal))
}
