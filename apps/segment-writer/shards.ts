/** The shards of a writer: one in this thread, or as many threads as it may have. */
import { DICTIONARY_SEED_BYTES } from '#core/block/stack-keys.ts'
import { DICTIONARIES_BYTES_MAX } from '#core/segment/dictionary-cache.ts'
import type { SegmentWriterDeps, SegmentWriterSettings } from './app.ts'
import type { HeadShard } from './head-shard.ts'
import { ENCODE_TURN_MS, LocalShard } from './local-shard.ts'
import { TenantRates } from './tenant-rates.ts'
import { ThreadShard } from './thread-shard.ts'
import { WriterAccount } from './writer-account.ts'

/** 16 threads decode some 25,000 profiles a second, and one thread no longer hands out as many. */
export const THREADS_MAX = 16

/** Of the writer's bound, a quarter at most: the rest is for pushes. */
const DICTIONARIES_SHARE = 4

/**
 * Threads by cores: two are left for the loop that answers, Postgres and compaction; with fewer than two to spare the
 * writer works in that loop, which costs 7 % less CPU at 20 profiles/s than one thread beside it (decision 0042).
 */
export function defaultThreads(cores: number): number {
  return cores < 4 ? 0 : Math.min(THREADS_MAX, cores - 2)
}

export function createShards(
  deps: SegmentWriterDeps,
  settings: SegmentWriterSettings,
): { readonly account: WriterAccount; readonly shards: readonly HeadShard[] } {
  const { memoryBytesMax, limitsOf, threads } = settings
  const rates = deps.rates ?? new TenantRates(limitsOf)
  const count = Math.max(1, threads)
  const account = new WriterAccount(count)
  const dictionariesBytesMax = Math.min(DICTIONARIES_BYTES_MAX, memoryBytesMax / DICTIONARIES_SHARE) / count
  const { codec, digest, clock, random, log } = deps
  const dictionarySeed = random.bytes(DICTIONARY_SEED_BYTES)
  const shared = { count, memoryBytesMax, dictionariesBytesMax, dictionarySeed }
  if (threads === 0) {
    const shard = { ...shared, index: 0, firstHead: 0, encodeTurnMs: ENCODE_TURN_MS }
    return { account, shards: [new LocalShard({ codec, digest, clock, account, rates }, shard)] }
  }
  const threadDeps = { account, rates, clock, log, startThread: deps.startThread }
  return {
    account,
    shards: Array.from({ length: count }, (_, index) => new ThreadShard(threadDeps, { ...shared, index })),
  }
}
