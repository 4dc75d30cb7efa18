/**
 * Reads the datasets of a plan object by object, a few objects ahead of the one that is being merged.
 *
 * 0. Heads and symbols that are kept from an earlier call are not read again.
 * 1. Round one: the head of each other dataset; where samples are wanted, a dataset below `WHOLE_DATASET_BYTES` is read whole,
 *    which saves its second round. Neighbours are coalesced: a segment is usually one range.
 * 2. Select profiles from the heads; datasets without any are done. One that is wanted whole may be answered by its total.
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
import { selectWhole, wholeTotals } from '#core/query/whole-dataset.ts'
import type { SourceDataset, SourceObject } from '#core/rpc/metastore.ts'
import type { ReadStats } from '#core/rpc/query-backend.ts'
import { MIB } from '#core/units.ts'
import { freeBytes } from '#platform/http/body.ts'
import type { KeptBlocks } from './kept-blocks.ts'

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
  /** Datasets that are wanted whole may be answered by their totals: of a flame graph of all samples. */
  readonly takesTotals?: boolean
}

export interface ReadDataset {
  /** As it was given. */
  readonly object: SourceObject
  readonly head: DatasetHead
  readonly fetched: FetchedRanges
  /** None where a total answers. */
  readonly profiles: readonly SelectedProfiles[]
  /** How many were selected. */
  readonly profileCount: number
  /** Which samples and rollups the fetched ranges hold; empty if heads were wanted. */
  readonly plan: StacktracePlan
  /** Of all headers, in order; present if ids were wanted. */
  readonly profileIds?: Uint8Array
}

/** 128 KiB: less than what a store sends in the time of one request. */
const WHOLE_DATASET_BYTES = 128 * 1024
/** Objects read ahead: hides the latency of a remote store. */
const OBJECTS_AHEAD = 8
/** Of their datasets, which is more than is read of them. One object is read whatever it has. */
const AHEAD_BYTES_MAX = 64 * MIB

export type RangeStore = Pick<ObjectStore, 'getRange'>

/** Whether the caller has gone: an AbortSignal, or a flag that another thread sets. */
export type CallEnd = Pick<AbortSignal, 'aborted'>

export interface ReadDeps {
  readonly store: RangeStore
  readonly codec: Codec
  /** Absent: nothing is kept. */
  readonly kept?: KeptBlocks | undefined
  /** What the store gave is ours alone: its memory is given back when the object is done, not when it is collected. */
  readonly freesRanges?: boolean
}

interface ReadContext {
  readonly stats: ReadStats
  readonly signal: CallEnd | undefined
}

interface ObjectContext extends ReadContext {
  /** What was fetched of the object. Nothing that outlives it may be a view of these. */
  readonly fetched: Uint8Array[]
}

/** Datasets that have profiles for the query, in the order of the plan. */
export async function* readObjects(
  deps: ReadDeps,
  objects: readonly SourceObject[],
  query: ObjectQuery,
  context: ReadContext,
): AsyncGenerator<ReadDataset> {
  const ahead: { readonly read: Promise<ReadDataset[]>; readonly sizeBytes: number; readonly fetched: Uint8Array[] }[] =
    []
  let next = 0
  let aheadBytes = 0
  const fill = (): void => {
    while (next < objects.length && ahead.length < OBJECTS_AHEAD && context.signal?.aborted !== true) {
      const object = objects[next]!
      const sizeBytes = object.datasets.reduce((sum, { descriptor }) => sum + descriptor.sizeBytes, 0)
      if (ahead.length > 0 && aheadBytes + sizeBytes > AHEAD_BYTES_MAX) return
      next++
      const fetched: Uint8Array[] = []
      const read = readObject(deps, object, query, { ...context, fetched }).catch((error: unknown) => {
        throw namingObject(error, object.objectId)
      })
      // Its error is thrown when its turn comes; until then it must not count as unhandled.
      read.catch(() => undefined)
      ahead.push({ read, sizeBytes, fetched })
      aheadBytes += sizeBytes
    }
  }
  for (fill(); ahead.length > 0; fill()) {
    const { read, sizeBytes, fetched } = ahead.shift()!
    yield* await read
    aheadBytes -= sizeBytes
    if (deps.freesRanges === true) fetched.forEach(freeBytes)
  }
  throwIfGone(context.signal)
}

/** What is missing or damaged, with its object: who asked can leave that one out. */
export function namingObject(error: unknown, objectId: string): unknown {
  if (!(error instanceof CinderError) || error.message.includes(objectId)) return error
  if (error.kind !== 'not_found' && error.kind !== 'data_loss') return error
  return new CinderError(error.kind, `object ${objectId}: ${error.message}`, { reason: error.reason, cause: error })
}

export function throwIfGone(signal: CallEnd | undefined): void {
  if (signal?.aborted === true) throw new CinderError('canceled', 'the client has gone')
}

async function readObject(
  deps: ReadDeps,
  object: SourceObject,
  query: ObjectQuery,
  context: ObjectContext,
): Promise<ReadDataset[]> {
  const { stats } = context
  stats.objects++
  const { first, heads } = await readHeads(deps, object, query.wants, context)
  const selected: HeadDataset[] = []
  object.datasets.forEach(({ skip }, i) => {
    stats.datasets++
    const { head, isWhole } = heads[i]!
    const whole = query.takesTotals === true ? selectWhole(head, { ...query, skip }) : undefined
    const profiles = whole === undefined ? selectProfiles(head, { ...query, skip }) : []
    if (profiles.length === 0 && (whole ?? []).length === 0) return
    const profileCount = profiles.reduce((sum, { positions }) => sum + positions.length, 0)
    stats.profiles += profileCount
    selected.push({ object, head, isWhole, profiles, profileCount, whole })
  })
  if (query.wants === 'heads') {
    return selected.map((dataset) => ({ ...dataset, plan: planStacktraces(dataset.head, []), fetched: first }))
  }
  if (query.wants === 'ids') {
    const ids = selected.filter(({ isWhole }) => !isWhole).flatMap(({ head }) => profileIdRanges(head))
    return withIds(selected, { first, rest: await fetchRanges(deps, object, ids, context) })
  }
  const symbols = query.wants === 'lines' ? 'lines' : 'functions'
  const wish = { symbols, row: query.selector?.row } as const
  const named = await keepNamed(selected, query.selector?.profileIds, async (missing) => ({
    first,
    rest: await fetchRanges(deps, object, missing, context),
  }))
  const planned = named.map((dataset) => {
    const kept = deps.kept?.symbols(object.objectId, dataset.head)
    const { whole } = dataset
    return { ...dataset, plan: { ...planStacktraces(dataset.head, dataset.profiles, wish), kept, whole } }
  })
  const missing = planned.filter(({ isWhole }) => !isWhole).flatMap(({ plan }) => stacktracesRanges(plan))
  const second = await fetchRanges(deps, object, missing, context)
  return planned.map((dataset) => withTotals({ ...dataset, fetched: dataset.isWhole ? first : second }, stats))
}

function withTotals(dataset: ReadDataset, stats: ReadStats): ReadDataset {
  const { head, fetched, plan } = dataset
  if (plan.whole === undefined) return dataset
  const totals = wholeTotals(head, fetched, plan.whole)
  const profileCount = totals.reduce((sum, { profiles }) => sum + profiles, 0)
  stats.profiles += profileCount
  return { ...dataset, profileCount, plan: { ...plan, totals } }
}

interface OpenedHead {
  readonly head: DatasetHead
  /** The first round has the whole dataset. */
  readonly isWhole: boolean
}

async function readHeads(
  { kept, ...deps }: ReadDeps,
  object: SourceObject,
  wants: ObjectQuery['wants'],
  context: ObjectContext,
): Promise<{ readonly first: FetchedRanges; readonly heads: readonly OpenedHead[] }> {
  const { objectId, datasets } = object
  const known = datasets.map(({ descriptor }) => kept?.head(objectId, descriptor))
  const unknown = datasets.filter((_, i) => known[i] === undefined)
  const keptHeads = datasets.length - unknown.length
  if (keptHeads > 0) context.stats.keptHeads = (context.stats.keptHeads ?? 0) + keptHeads
  const wanted = unknown.map(({ descriptor }) => firstRange(descriptor, wants))
  const first = await fetchRanges(deps, object, wanted, context)
  const heads = datasets.map(({ descriptor }, i): OpenedHead => {
    const found = known[i]
    if (found !== undefined) return { head: found, isWhole: false }
    const bytes = first.view(descriptor.offset, descriptor.headBytes)
    const head = openDataset(kept === undefined ? bytes : bytes.slice(), descriptor, deps.codec)
    kept?.keepHead(objectId, head)
    return { head, isWhole: wants !== 'heads' && isSmall(descriptor) }
  })
  return { first, heads }
}

type HeadDataset = Pick<ReadDataset, 'object' | 'head' | 'profiles' | 'profileCount'> &
  Pick<StacktracePlan, 'whole'> &
  Pick<OpenedHead, 'isWhole'>

/** Profiles that have one of the ids, in the datasets that have any. */
async function keepNamed(
  datasets: readonly HeadDataset[],
  ids: ReadonlySet<string> | undefined,
  fetch: (missing: ByteRange[]) => Promise<{ readonly first: FetchedRanges; readonly rest: FetchedRanges }>,
): Promise<readonly HeadDataset[]> {
  if (ids === undefined || datasets.length === 0) return datasets
  const missing = datasets.filter(({ isWhole }) => !isWhole)
  const { first, rest } = await fetch(missing.flatMap(({ head }) => profileIdRanges(head)))
  return datasets.flatMap((dataset) => {
    const ownIds = decodeProfileIds(dataset.head, dataset.isWhole ? first : rest)
    const named = keepProfilesById(dataset.profiles, ownIds, ids)
    return named.length === 0 ? [] : [{ ...dataset, profiles: named }]
  })
}

function withIds(
  datasets: readonly HeadDataset[],
  { first, rest }: { readonly first: FetchedRanges; readonly rest: FetchedRanges },
): ReadDataset[] {
  return datasets.map((dataset) => {
    const fetched = dataset.isWhole ? first : rest
    const profileIds = decodeProfileIds(dataset.head, fetched)
    return { ...dataset, plan: planStacktraces(dataset.head, []), fetched, profileIds }
  })
}

function isSmall(descriptor: SourceDataset['descriptor']): boolean {
  return descriptor.sizeBytes <= WHOLE_DATASET_BYTES
}

function firstRange(descriptor: SourceDataset['descriptor'], wants: ObjectQuery['wants']): ByteRange {
  const isWhole = wants !== 'heads' && isSmall(descriptor)
  const lengthBytes = isWhole ? descriptor.sizeBytes : descriptor.headBytes
  return { offset: descriptor.offset, lengthBytes }
}

async function fetchRanges(
  deps: ReadDeps,
  object: SourceObject,
  wanted: readonly ByteRange[],
  { stats, signal, fetched }: ObjectContext,
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
  for (const { bytes } of parts) fetched.push(bytes)
  stats.ranges += ranges.length
  for (const { lengthBytes } of ranges) stats.bytes += lengthBytes
  // Every column chunk is a view: a merge of millions of rows ends within one frame of them.
  return new FetchedRanges(parts, () => throwIfGone(signal))
}
