/**
 * A batch: what will become one segment, as the thread that answers sees it: counts for the flush policy, and the pushes
 * that wait. Its heads live in the shards, one part a shard.
 *
 * One object per flush, with every tenant and service that has data. A batch is open (profiles are taken) until the
 * flusher gets it; then it is closed for good. What it holds counts against the writer's memory until it settles.
 */
import type { CinderError } from '#core/errors.ts'
import type { BatchName, TakenProfile } from './head-shard.ts'

/** What became of a profile after its segment was committed, or why not. */
export type Settlement =
  | { readonly kind: 'stored' }
  | { readonly kind: 'duplicate' }
  | { readonly kind: 'failed'; readonly error: CinderError }

/** What a taken profile adds to its batch. */
export interface ProfileSize {
  readonly decompressedBytes: number
  readonly headers: number
}

export interface WaitingProfile {
  readonly deduplicate: boolean
  readonly settle: (settlement: Settlement) => void
}

export class BatchPart {
  /** By head, then by ordinal. */
  readonly waiting = new Map<number, WaitingProfile[]>()
  /** The shard was asked, so it may have something. */
  isUsed = false

  /** Settles whatever still waits. */
  settleRest(settlement: Settlement): void {
    for (const head of this.waiting.keys()) this.settleHead(head, settlement)
  }

  settleHead(head: number, settlement: Settlement): void {
    for (const { settle } of this.waiting.get(head) ?? []) settle(settlement)
    this.waiting.delete(head)
  }
}

export class Batch implements BatchName {
  readonly number: number
  readonly #makeId: () => string
  #objectId: string | undefined
  readonly parts: readonly BatchPart[]
  /** Decoded, as the flush policy counts. */
  bytes = 0
  /** One per profile and series: as many ids has the commit. */
  headers = 0
  /** Profiles that a shard has not answered yet; they may be in it. */
  asked = 0
  oldestArrivalMs = 0

  constructor(number: number, makeId: () => string, shardCount: number) {
    this.number = number
    this.#makeId = makeId
    this.parts = Array.from({ length: shardCount }, () => new BatchPart())
  }

  /** Made with the first profile: the time in it is when the object was begun, not when the one before it was closed. */
  get objectId(): string {
    return (this.#objectId ??= this.#makeId())
  }

  get isEmpty(): boolean {
    return this.headers + this.asked === 0
  }

  /** A profile is on its way to a shard. */
  ask(shard: number, nowMs: number): void {
    if (this.isEmpty) this.oldestArrivalMs = nowMs
    this.asked++
    this.parts[shard]!.isUsed = true
  }

  /** A shard has taken it. */
  add(shard: number, { head, ordinal, profiles: count, deduplicate, size }: TakenProfile): Promise<Settlement> {
    this.headers += size.headers
    this.bytes += size.decompressedBytes
    const { waiting } = this.parts[shard]!
    let profiles = waiting.get(head)
    if (profiles === undefined) {
      profiles = []
      waiting.set(head, profiles)
    }
    const { promise, resolve } = Promise.withResolvers<Settlement>()
    const settle = count === 1 ? resolve : settleTogether(count, resolve)
    for (let i = ordinal; i < ordinal + count; i++) profiles[i] = { deduplicate, settle }
    return promise
  }
}

/** Profiles of one push settle as one: stored if any of them is new, failed if any failed. */
function settleTogether(count: number, settle: (settlement: Settlement) => void): (settlement: Settlement) => void {
  let left = count
  let worst: Settlement = { kind: 'duplicate' }
  return (settlement) => {
    if (worst.kind === 'duplicate' || settlement.kind === 'failed') worst = settlement
    if (--left === 0) settle(worst)
  }
}
