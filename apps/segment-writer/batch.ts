/**
 * A batch: the heads that will become one segment, and the pushes that wait for it.
 *
 * One object per flush, with every tenant and service that has data. A batch is open (profiles are appended) until the
 * flusher takes it; then it is closed for good. Its decoded bytes count against the writer's memory until it settles.
 */
import type { CinderError } from '#core/errors.ts'
import { Head, type HeadKey } from '#core/segment/head.ts'

/** What became of a profile after its segment was committed, or why not. */
export type Settlement =
  | { readonly kind: 'stored' }
  | { readonly kind: 'duplicate' }
  | { readonly kind: 'failed'; readonly error: CinderError }

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
  bytes = 0
  profiles = 0
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

  account(bytes: number, nowMs: number): void {
    if (this.profiles === 0) this.oldestArrivalMs = nowMs
    this.profiles++
    this.bytes += bytes
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
