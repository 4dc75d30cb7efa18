/**
 * A batch: the heads that will become one segment, and the pushes that wait for it.
 *
 * One object per flush, with every tenant and service that has data. A batch is open (profiles are appended) until the
 * flusher takes it; then it is closed for good. It counts against the writer's memory until it settles: decoded bytes, and what a
 * profile and each of its headers hold besides.
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
  /** Counts profiles without id and time, for their positional ids. */
  positions = 0

  constructor(objectId: string) {
    this.objectId = objectId
  }

  headOf(key: HeadKey): BatchHead {
    const text = JSON.stringify([key.tenant, key.service, key.windowStartMs])
    let entry = this.heads.get(text)
    if (entry === undefined) {
      entry = { head: new Head(key), waiting: [] }
      this.heads.set(text, entry)
    }
    return entry
  }

  /** Returns by how much the batch grew in memory. */
  account({ decompressedBytes, headers }: ProfileSize, nowMs: number): number {
    if (this.profiles === 0) this.oldestArrivalMs = nowMs
    this.profiles++
    this.headers += headers
    this.bytes += decompressedBytes
    const grownBytes = decompressedBytes + PROFILE_OVERHEAD_BYTES + headers * HEADER_OVERHEAD_BYTES
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

function compareKeys(a: HeadKey, b: HeadKey): number {
  if (a.tenant !== b.tenant) return a.tenant < b.tenant ? -1 : 1
  if (a.service !== b.service) return a.service < b.service ? -1 : 1
  return a.windowStartMs - b.windowStartMs
}
