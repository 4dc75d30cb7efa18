/** What recovery reads of objects: footers, heads and profile ids, by ranges, a few objects at a time. */
import type { ObjectFooter } from '#core/block/footer.ts'
import { FOOTER_TAIL_BYTES } from '#core/block/format.ts'
import { objectKey } from '#core/block/object-key.ts'
import {
  checkHeader,
  type DatasetHead,
  decodeFooter,
  decodeProfileIds,
  FetchedRanges,
  footerRange,
  openDataset,
  planDatasetRead,
} from '#core/block/read.ts'
import { CinderError } from '#core/errors.ts'
import type { Codec } from '#core/ports/codec.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { DatasetDescriptor } from '#core/rpc/metastore.ts'

export interface ObjectReader {
  readonly store: ObjectStore
  readonly codec: Codec
}

export interface FoundFooter {
  readonly sizeBytes: number
  readonly footer: ObjectFooter
}

/** Two requests, three for a footer of more than 250 datasets. Fails with `data_loss` for what is no object of ours. */
export async function readFooter({ store }: ObjectReader, objectId: string): Promise<FoundFooter> {
  const key = objectKey(objectId)
  const found = await store.head(key)
  if (found === undefined) throw new CinderError('not_found', `${key} is gone`)
  const { sizeBytes } = found
  const tailBytes = Math.min(FOOTER_TAIL_BYTES, sizeBytes)
  if (tailBytes === 0) throw new CinderError('data_loss', `${key} is empty`, { reason: 'corrupt_block' })
  let tail = await store.getRange(key, sizeBytes - tailBytes, tailBytes)
  if (tailBytes === sizeBytes) checkHeader(tail)
  const range = footerRange(sizeBytes, tail)
  if (range.lengthBytes > tail.length) tail = await store.getRange(key, range.offset, range.lengthBytes)
  const footer = decodeFooter(tail.subarray(tail.length - range.lengthBytes), sizeBytes)
  if (footer.objectId !== objectId)
    throw new CinderError('data_loss', `${key} holds the object ${footer.objectId}`, { reason: 'corrupt_block' })
  return { sizeBytes, footer }
}

export async function readHead(
  { store, codec }: ObjectReader,
  objectId: string,
  descriptor: DatasetDescriptor,
): Promise<DatasetHead> {
  const bytes = await store.getRange(objectKey(objectId), descriptor.offset, descriptor.headBytes)
  return openDataset(bytes, descriptor, codec)
}

/** 16 bytes a profile, in the order of its header. */
export async function readProfileIds(
  { store }: ObjectReader,
  objectId: string,
  head: DatasetHead,
): Promise<Uint8Array> {
  const need = { symbols: 'none', headers: new Uint32Array(0), columns: [], profileIds: true } as const
  const parts = await Promise.all(
    planDatasetRead(head, need).map(async ({ offset, lengthBytes }) => ({
      offset,
      bytes: await store.getRange(objectKey(objectId), offset, lengthBytes),
    })),
  )
  return decodeProfileIds(head, new FetchedRanges(parts))
}

/** All at once up to `limit`; the first failure ends it, after what is running has ended. */
export async function inParallel<T>(
  items: readonly T[],
  limit: number,
  run: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0
  const work = async () => {
    while (next < items.length) await run(items[next++]!)
  }
  const workers = await Promise.allSettled(Array.from({ length: Math.min(limit, items.length) }, work))
  for (const worker of workers) if (worker.status === 'rejected') throw worker.reason
}
