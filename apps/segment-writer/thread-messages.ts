/**
 * What a writer and the thread of a shard say to each other. Bodies of profiles travel in one buffer a message, by
 * transfer; labels as one list of strings and answers as one column of numbers, because cloning costs 1.6 µs an object.
 */
import type { TenantLimits } from '#core/limits/limits.ts'
import type { IngestForm } from '#core/rpc/segment-writer.ts'
import type { HeadResult, TakeAnswer, TakenProfile } from './head-shard.ts'
import type { AccountBuffers } from './writer-account.ts'

/** The first message to a thread. */
export interface ThreadSettings {
  readonly index: number
  readonly count: number
  readonly memoryBytesMax: number
  readonly dictionariesBytesMax: number
  readonly dictionarySeed?: Uint8Array
  readonly firstHead: number
  readonly account: AccountBuffers
}

export interface TakeOrder {
  readonly kind: 'take'
  readonly id: number
  readonly batch: { readonly number: number; readonly objectId: string }
  readonly request: number
  readonly tenant: string
  /** Name, value, name, … */
  readonly labels: readonly string[]
  /** Without its dictionary. */
  readonly ingest: IngestForm | undefined
  /** Of the message's bodies: what this and later profiles of the request refer to. */
  readonly dictionary?: { readonly start: number; readonly end: number } | undefined
  readonly clientId: string
  readonly pushId: string | undefined
  /** Of the message's bodies: [start, end). */
  readonly start: number
  readonly end: number
  /** Index of the message's limits. */
  readonly limits: number
  readonly policy: string | undefined
  readonly mayUseReserve: boolean | undefined
  readonly nowMs: number
}

export type ThreadOrder =
  | TakeOrder
  | { readonly kind: 'encode'; readonly id: number; readonly batch: number }
  | {
      readonly kind: 'settled'
      readonly batch: number
      readonly isCommitted: boolean
      readonly labelEpoch?: number | undefined
    }
  | { readonly kind: 'forget'; readonly request: number }

/** Carried out in order. */
export interface ThreadQuestion {
  readonly orders: readonly ThreadOrder[]
  readonly bodies: Uint8Array
  readonly limits: readonly TenantLimits[]
}

export type ThreadReply =
  /** To every take of a question so far. The last reply of a question says so. */
  | {
      readonly kind: 'taken'
      readonly isLast: boolean
      readonly taken: Float64Array
      readonly others: readonly { readonly id: number; readonly answer: TakeAnswer }[]
      readonly faults: readonly ThreadFault[]
    }
  | { readonly kind: 'encoded'; readonly id: number; readonly results: readonly HeadResult[] }
  | { readonly kind: 'fault'; readonly fault: ThreadFault }

export interface ThreadFault {
  readonly id: number
  readonly message: string
}

const TAKEN_NUMBERS = 7
/** Bits of one of them. */
const DEDUPLICATE = 1
const CLOCK_REPAIRED = 2
/** Above them. */
const CHANGES_SHIFT = 2

/** Without names of services: an answer that has one goes as it is. */
export function packTaken(taken: readonly { readonly id: number; readonly answer: TakenProfile }[]): Float64Array {
  const out = new Float64Array(taken.length * TAKEN_NUMBERS)
  taken.forEach(({ id, answer: { head, ordinal, profiles, deduplicate, size, isClockRepaired, changes } }, i) => {
    const { decompressedBytes, headers } = size
    const flags = (deduplicate ? DEDUPLICATE : 0) | (isClockRepaired ? CLOCK_REPAIRED : 0) | (changes << CHANGES_SHIFT)
    out.set([id, head, ordinal, profiles, flags, decompressedBytes, headers], i * TAKEN_NUMBERS)
  })
  return out
}

export function* unpackTaken(packed: Float64Array): Generator<{ id: number; answer: TakenProfile }> {
  for (let at = 0; at < packed.length; at += TAKEN_NUMBERS) {
    const numbers = packed.subarray(at, at + TAKEN_NUMBERS)
    const [id, head, ordinal, profiles, flags, decompressedBytes, headers] = numbers
    const size = { decompressedBytes: decompressedBytes!, headers: headers! }
    const place = { head: head!, ordinal: ordinal!, profiles: profiles! }
    const deduplicate = (flags! & DEDUPLICATE) !== 0
    const isClockRepaired = (flags! & CLOCK_REPAIRED) !== 0
    const changes = flags! >>> CHANGES_SHIFT
    yield { id: id!, answer: { kind: 'taken', ...place, deduplicate, size, isClockRepaired, changes } }
  }
}
