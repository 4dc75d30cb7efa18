/**
 * A shard: the heads of some tenants and services, in this thread (local-shard.ts) or in one of its own (thread-shard.ts).
 *
 * 1. `take` decodes a profile into a head of a batch, or says why not. A shard takes in the order it is asked.
 * 2. `encode` turns what it has of a closed batch into datasets. Everything taken into that batch before is in it.
 * 3. `settled` tells what became of the batch; only then is its memory given back.
 * A batch is spread over shards; who flushes joins their datasets into one object.
 */
import type { EncodedDataset } from '#core/block/write.ts'
import type { TenantLimits } from '#core/limits/limits.ts'
import type { LabelSet } from '#core/rpc/metastore.ts'
import type { IngestForm, ProfileVerdict, WriteProfile } from '#core/rpc/segment-writer.ts'
import type { LabelPair } from '#core/labels/labels.ts'
import type { HeadKey } from '#core/segment/head.ts'
import type { ProfileSize } from './batch.ts'

export interface BatchName {
  readonly number: number
  readonly objectId: string
}

export interface TakeInput {
  readonly batch: BatchName
  /** Counts equal profiles of one request (request-ordinals.ts), until `forget`. */
  readonly request: number
  readonly tenant: string
  readonly labels: readonly LabelPair[]
  readonly ingest: IngestForm | undefined
  readonly profile: WriteProfile
  /** Of the request (core/rpc/segment-writer.ts). */
  readonly pushId?: string | undefined
  readonly limits: TenantLimits
  /** The tenant's ingest policy, as JSON that was checked; undefined = the default. */
  readonly policy?: string | undefined
  /** Of the writer's memory: the tenant is within its share (core/limits/fair-share.ts). */
  readonly mayUseReserve?: boolean | undefined
  readonly nowMs: number
  /** Nobody waits for the answer any more: what is not begun, and the rest of what comes in slices, is not read. */
  readonly isGone?: (() => boolean) | undefined
}

export interface TakenProfile {
  readonly kind: 'taken'
  /** Unique in the life of the shard, whatever became of its threads. */
  readonly head: number
  /** Ordinal of the profile in its head; a recording is several, with ordinals one after another. */
  readonly ordinal: number
  readonly profiles: number
  /** The commit decides duplicates by the id. */
  readonly deduplicate: boolean
  readonly size: ProfileSize
  /** Stored under another time than it came with. */
  readonly isClockRepaired: boolean
  /** By the tenant's rules: bits, and the service that they gave it (core/ingest/rule-changes.ts). */
  readonly changes: number
  readonly renamedTo?: string | undefined
}

export type TakeAnswer =
  | TakenProfile
  /** `isShed`: for want of room, not for the profile's sake. */
  | { readonly kind: 'verdict'; readonly verdict: ProfileVerdict; readonly isShed: boolean }

export type HeadResult = { readonly head: number; readonly key: HeadKey } & (
  | {
      readonly kind: 'encoded'
      readonly encoded: EncodedDataset
      /** Of the dataset's headers, in its order: ids, and the ordinals that `take` gave. */
      readonly profileIds: Uint8Array
      readonly profileOrdinal: Uint32Array
      /** Those that the metastore may not have. */
      readonly labelSets: readonly LabelSet[]
      /** Under which epoch it was given what is left out; undefined: nothing is. */
      readonly labelEpoch?: number | undefined
    }
  | { readonly kind: 'failed'; readonly message: string }
)

export interface HeadShard {
  /** At once where it runs in this thread. Throws, or rejects, for a fault of ours. */
  take(input: TakeInput): TakeAnswer | Promise<TakeAnswer>
  /** Sorted by key; rejects if the heads are lost. */
  encode(batch: number): Promise<readonly HeadResult[]>
  /** `labelEpoch`: of the commit's answer. */
  settled(batch: number, isCommitted: boolean, labelEpoch?: number): void
  /** No profile of this request will come any more. */
  forget(request: number): void
  stop(): void
}

/** Order of an object's datasets: tenant, service, window. */
export function compareKeys(a: HeadKey, b: HeadKey): number {
  if (a.tenant !== b.tenant) return a.tenant < b.tenant ? -1 : 1
  if (a.service !== b.service) return a.service < b.service ? -1 : 1
  return a.windowStartMs - b.windowStartMs
}
