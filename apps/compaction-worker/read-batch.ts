/**
 * Reads the regions of one batch: of every source the named datasets, near ones in one request, the whole object if they
 * are most of it; a few requests at once.
 *
 * A source that is gone, and one that is shorter than its descriptors say, are told apart from a store that fails: the job
 * then names them, and the metastore can go on without them. Must not: hold more than the batch.
 */
import { type ByteRange, coalesceRanges } from '#core/block/coalesce.ts'
import { objectKey } from '#core/block/object-key.ts'
import { CinderError } from '#core/errors.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { SourceObject } from '#core/rpc/metastore.ts'
import { blame } from './job-failure.ts'
import type { PlannedBatch, PlannedDataset, PlannedGroup } from './job-plan.ts'
import type { MergeGroup } from './merge-task.ts'

/** 8 requests: a batch is there in a few round trips, and eight workers leave a store room. */
const REQUESTS_MAX = 8

export interface BatchReader {
  readonly store: ObjectStore
  readonly sources: readonly SourceObject[]
  readonly signal: AbortSignal
}

export async function readBatch(reader: BatchReader, batch: PlannedBatch): Promise<MergeGroup[]> {
  const bySource = new Map<number, PlannedDataset[]>()
  for (const { members } of batch.groups)
    for (const member of members) bySource.set(member.source, [...(bySource.get(member.source) ?? []), member])
  const requests = [...bySource].flatMap(([source, members]) => planReads(reader.sources[source]!, source, members))
  const parts: { readonly read: PlannedRead; readonly bytes: Uint8Array }[] = []
  await inParallel(requests, async (read) => {
    if (reader.signal.aborted) return
    parts.push({ read, bytes: ownBuffer(await readPart(reader, read)) })
  })
  if (reader.signal.aborted) return []
  const partOf = new Map<PlannedDataset, { bytes: Uint8Array; offset: number }>()
  for (const { read, bytes } of parts)
    for (const member of read.members) partOf.set(member, { bytes, offset: read.isWhole ? 0 : read.offset })
  return batch.groups.map((group) => toGroup(group, reader, partOf))
}

interface PlannedRead extends ByteRange {
  readonly source: number
  readonly isWhole: boolean
  readonly members: readonly PlannedDataset[]
}

function planReads(object: SourceObject, source: number, members: readonly PlannedDataset[]): PlannedRead[] {
  const named = members.map(({ dataset: { descriptor } }) => ({
    offset: descriptor.offset,
    lengthBytes: descriptor.sizeBytes,
  }))
  const ranges = coalesceRanges(named)
  const lengthBytes = ranges.reduce((sum, range) => sum + range.lengthBytes, 0)
  if (lengthBytes * 2 >= object.sizeBytes)
    return [{ source, isWhole: true, offset: 0, lengthBytes: object.sizeBytes, members }]
  return ranges.map((range) => ({
    ...range,
    source,
    isWhole: false,
    members: members.filter(({ dataset: { descriptor } }) => isInside(descriptor.offset, range)),
  }))
}

function isInside(offset: number, range: ByteRange): boolean {
  return offset >= range.offset && offset < range.offset + range.lengthBytes
}

async function readPart({ store, sources, signal }: BatchReader, read: PlannedRead): Promise<Uint8Array> {
  const object = sources[read.source]!
  const key = objectKey(object.objectId)
  const { objectId } = object
  try {
    return read.isWhole
      ? await store.get(key, { signal })
      : await store.getRange(key, read.offset, read.lengthBytes, { signal })
  } catch (error) {
    if (!(error instanceof CinderError)) throw error
    const all = object.datasets.map(({ descriptor }) => ({ objectId, index: descriptor.index }))
    if (error.kind === 'not_found') throw blame(error, { failure: 'missing-source', culprits: all })
    const touched = read.members.map(({ dataset }) => ({ objectId, index: dataset.descriptor.index }))
    if (error.kind === 'data_loss') throw blame(error, { failure: 'corrupt-source', culprits: touched })
    throw error
  }
}

function toGroup(
  group: PlannedGroup,
  { sources }: BatchReader,
  partOf: ReadonlyMap<PlannedDataset, { bytes: Uint8Array; offset: number }>,
): MergeGroup {
  const inputs = group.members.map((member) => {
    const { descriptor, skip } = member.dataset
    const { bytes, offset } = partOf.get(member)!
    const from = descriptor.offset - offset
    // Shorter than it should be: the merge names it.
    const region = bytes.subarray(from, from + descriptor.sizeBytes)
    return { objectId: sources[member.source]!.objectId, descriptor, skip, region }
  })
  return { window: group.window, inputs }
}

/** Runs all, `REQUESTS_MAX` at once, and ends when all have ended; fails with the first error. */
async function inParallel<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  let next = 0
  let failure: { readonly error: unknown } | undefined
  const lane = async (): Promise<void> => {
    while (next < items.length && failure === undefined) {
      try {
        await run(items[next++]!)
      } catch (error) {
        failure ??= { error }
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(REQUESTS_MAX, items.length) }, lane))
  if (failure !== undefined) throw failure.error
}

/** Bytes alone in their buffer, as a transfer to a thread needs them: small reads come as views of a shared pool. */
function ownBuffer(bytes: Uint8Array): Uint8Array {
  return bytes.byteOffset === 0 && bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice()
}
