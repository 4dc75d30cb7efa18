/** What one shard has of a batch: its heads, by tenant, service and data hour, and how much they hold in memory. */
import type { DictionaryCache } from '#core/segment/dictionary-cache.ts'
import { Head, type HeadKey } from '#core/segment/head.ts'
import type { RowScratch } from '#core/segment/rows.ts'
import type { LabelSet } from '#core/rpc/metastore.ts'
import { compareKeys, type BatchName } from './head-shard.ts'
import type { ProfileSize } from './batch.ts'

/**
 * Held by a pending profile besides its bytes: a promise, closures, an entry of the answer. Measured with 20,000 of 134
 * bytes: 2,100 bytes each. Without it a bound in bytes would let a million small profiles in.
 */
const PROFILE_OVERHEAD_BYTES = 2_048
/** Held by a header with a series of its own: labels, key, columns. Measured with 80,000 series: 640 bytes each. */
const HEADER_OVERHEAD_BYTES = 640

/**
 * Held by a head: its rows, its numbering of stacks, and the dataset and sections that the flush makes of it. Its
 * symbols are its dictionary's.
 */
const HEAD_OVERHEAD_BYTES = 30 * 1_024

export interface BatchHead {
  readonly number: number
  readonly head: Head
}

export interface HeadTools {
  readonly dictionaries: DictionaryCache
  readonly scratch: RowScratch
  readonly nextHeadNumber: () => number
}

export class ShardBatch {
  readonly name: BatchName
  /** What the batch holds in memory, about. */
  memoryBytes = 0
  /** Counts profiles without id and time, for their positional ids. */
  positions = 0
  /** Sent to the metastore with the commit, once encoded. */
  labelSets: readonly LabelSet[] = []
  readonly #heads = new Map<string, BatchHead>()
  readonly #tools: HeadTools

  constructor(name: BatchName, tools: HeadTools) {
    this.name = name
    this.#tools = tools
  }

  get headCount(): number {
    return this.#heads.size
  }

  headOf(key: HeadKey): BatchHead {
    const text = textOf(key)
    let entry = this.#heads.get(text)
    if (entry === undefined) {
      const { dictionaries, scratch, nextHeadNumber } = this.#tools
      const dictionary = dictionaries.dictionaryOf(key.tenant, key.service)
      entry = { number: nextHeadNumber(), head: new Head(key, dictionary, scratch) }
      this.#heads.set(text, entry)
    }
    return entry
  }

  /** After an append, which may bring symbols. */
  grew({ head }: Pick<BatchHead, 'head'>): void {
    this.#tools.dictionaries.account(head.key.tenant, head.key.service)
  }

  /** Drops the head if nothing is in it: no flush would ever come for it. */
  dropEmpty({ head }: BatchHead): void {
    if (head.profileCount > 0) return
    this.#heads.delete(textOf(head.key))
    this.release({ head })
  }

  /** Returns by how much the batch grew in memory. */
  account({ decompressedBytes, headers }: ProfileSize, newHeads: number): number {
    const overheadBytes = PROFILE_OVERHEAD_BYTES + headers * HEADER_OVERHEAD_BYTES + newHeads * HEAD_OVERHEAD_BYTES
    this.memoryBytes += decompressedBytes + overheadBytes
    return decompressedBytes + overheadBytes
  }

  /** Hands the heads out, in the order of an object's datasets; the batch has none afterwards. Empty ones are left out. */
  takeHeads(): BatchHead[] {
    for (const entry of this.#heads.values()) this.dropEmpty(entry)
    const heads = [...this.#heads.values()]
    this.#heads.clear()
    return heads.sort((a, b) => compareKeys(a.head.key, b.head.key))
  }

  /** A head that was handed out is done with its dictionary. */
  release({ head }: Pick<BatchHead, 'head'>): void {
    head.release()
    this.grew({ head })
  }
}

function textOf({ tenant, service, windowStartMs }: HeadKey): string {
  return JSON.stringify([tenant, service, windowStartMs])
}
