/** What a world must never show, by kind: the tests of planted bugs name the kinds that find them. */

export type ViolationKind =
  /** Stored, said so, and not there. */
  | 'lost'
  | 'counted-twice'
  /** Deleted data counts again. */
  | 'returned'
  | 'stranger'
  /** Sums of a merge, or of a tree, do not agree. */
  | 'sums'
  /** Committed, and its object is not durable. */
  | 'not-durable'
  /** A live object was deleted. */
  | 'live-deleted'
  /** An object was deleted, or missing, although a plan within the grace names it. */
  | 'grace'
  /** A write under a lease that had moved had an effect. */
  | 'zombie'
  /** The same question, asked again, had another answer. */
  | 'verdict'
  /** Two open jobs hold one dataset. */
  | 'shared-source'
  /** After the faults: a job, a segment, a tombstone or a push that never ends. */
  | 'never-ends'
  /** A job is parked that is not poison, or more than the poison with it. */
  | 'parked'
  | 'labels'
  | 'memory'
  /** The product threw what it never should. */
  | 'crashed'

export interface Seen {
  readonly kind: ViolationKind
  readonly what: string
}

export class Violation extends Error {
  readonly kind: ViolationKind

  constructor({ kind, what }: Seen) {
    super(`${kind}: ${what}`)
    this.name = 'Violation'
    this.kind = kind
  }
}
