/**
 * A batch: the heads that will become one segment, and the pushes that wait for it.
 *
 * One object per flush, with every tenant and service that has data. A batch is open (profiles are appended) until the
 * flusher takes it; then it is closed for good. It counts against the writer's memory until it settles: decoded bytes, and
 * what a profile, each of its headers and each head hold besides.
 */
import type { CinderError } from '#core/errors.ts'
import { Head, type HeadKey } from '#core/segment/head.ts'

/** What became of a profile after its segment was committed, or why not. */
export type Settlement =
  | { readonly kind: 'stored' }
  | { readonly kind: 'duplicate' }
  | { readonly kind: 'failed'; readonly error: CinderError }

/**
 * Held by a pending profile besides its bytes: a promise, closures, an entry of the answer. Measured with 20,000 of 134
 * bytes: 2,100 bytes each. Without it a bound in bytes would let a million small profiles in.
 */
const PROFILE_OVERHEAD_BYTES = 2_048
/** Held by a header with a series of its own: labels, key, columns. Measured with 80,000 series: 640 bytes each. */
const HEADER_OVERHEAD_BYTES = 640

/**
 * Held by a head: its symbols, rows and scratch. Measured with 3,000 services of one sample each: 18 KB before the flush;
 * the rest is for the dataset and the sections that the flush makes of it.
 */
const HEAD_OVERHEAD_BYTES = 30 * 1_024

/** What a taken profile adds to its batch. */
export interface ProfileSize {
  readonly decompressedBytes: number
  readonly headers: number
}

export interface WaitingProfile {
  /** 1 = the commit decides duplicates by the id. */
  readonly deduplicate: boolean
  readonly settle: (settlement: Settlement) => void
}

export interface BatchHead {
  readonly head: Head
  /** By the ordinal that `Head.append` returned. */
  readonly waiting: WaitingProfile[]
}

export class Batch {
  readonly objectId: string
  readonly heads = new Map<string, BatchHead>()
  /** Decoded, as the flush policy counts. */
  bytes = 0
  /** What the batch holds in memory, about. */
  memoryBytes = 0
  profiles = 0
  /** One per profile and series: as many ids has the commit. */
  headers = 0
  oldestArrivalMs = 0
  /** Of `heads`, those that `account` has counted. */
  #countedHeads = 0
  /** Counts profiles without id and time, for their positional ids. */
  positions = 0

  constructor(objectId: string) {
    this.objectId = objectId
  }

  headOf(key: HeadKey): BatchHead {
    const text = textOf(key)
    let entry = this.heads.get(text)
    if (entry === undefined) {
      entry = { head: new Head(key), waiting: [] }
      this.heads.set(text, entry)
    }
    return entry
  }

  /** Drops the head if nothing is in it: no flush would ever come for it. */
  dropEmpty({ head }: BatchHead): void {
    if (head.profileCount === 0) this.heads.delete(textOf(head.key))
  }

  /** Returns by how much the batch grew in memory. */
  account({ decompressedBytes, headers }: ProfileSize, nowMs: number): number {
    if (this.profiles === 0) this.oldestArrivalMs = nowMs
    this.profiles++
    this.headers += headers
    this.bytes += decompressedBytes
    const newHeads = this.heads.size - this.#countedHeads
    this.#countedHeads += newHeads
    const overheadBytes = PROFILE_OVERHEAD_BYTES + headers * HEADER_OVERHEAD_BYTES + newHeads * HEAD_OVERHEAD_BYTES
    const grownBytes = decompressedBytes + overheadBytes
    this.memoryBytes += grownBytes
    return grownBytes
  }

  /** Heads in the order of an object's datasets: tenant, service, window. Empty heads are left out. */
  sortedHeads(): BatchHead[] {
    return [...this.heads.values()]
      .filter(({ head }) => head.profileCount > 0)
      .sort((a, b) => compareKeys(a.head.key, b.head.key))
  }
}

function textOf({ tenant, service, windowStartMs }: HeadKey): string {
  return JSON.stringify([tenant, service, windowStartMs])
}

function compareKeys(a: HeadKey, b: HeadKey): number {
  if (a.tenant !== b.tenant) return a.tenant < b.tenant ? -1 : 1
  if (a.service !== b.service) return a.service < b.service ? -1 : 1
  return a.windowStartMs - b.windowStartMs
}
