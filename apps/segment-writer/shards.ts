/** The shards of a writer: one in this thread, or as many threads as it may have. */
import { DICTIONARIES_BYTES_MAX } from '#core/segment/dictionary-cache.ts'
import type { SegmentWriterDeps, SegmentWriterSettings } from './app.ts'
import type { HeadShard } from './head-shard.ts'
import { LocalShard } from './local-shard.ts'
import { TenantRates } from './tenant-rates.ts'
import { WriterAccount } from './writer-account.ts'

/** Of the writer's bound, a quarter at most: the rest is for pushes. */
const DICTIONARIES_SHARE = 4

export function createShards(
  deps: SegmentWriterDeps,
  settings: SegmentWriterSettings,
): { readonly account: WriterAccount; readonly shards: readonly HeadShard[] } {
  const { memoryBytesMax, limitsOf } = settings
  const rates = new TenantRates(limitsOf)
  const account = new WriterAccount(1)
  const dictionariesBytesMax = Math.min(DICTIONARIES_BYTES_MAX, memoryBytesMax / DICTIONARIES_SHARE)
  const shard = { index: 0, count: 1, memoryBytesMax, dictionariesBytesMax, firstHead: 0 }
  return { account, shards: [new LocalShard({ ...deps, account, rates }, shard)] }
}
