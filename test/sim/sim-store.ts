/**
 * The object store of a world: whole objects in a map, as its port promises, behind a line with faults. A read may be
 * refused, miss an object that is there, or bring a flipped bit; a write may land late, twice, or unheard of.
 */
import { CinderError } from '#core/errors.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { CommitSegmentRequest } from '#core/rpc/metastore.ts'
import { decodeJournalEntry, JOURNAL_PREFIX } from '#platform/journal.ts'
import { callOver, type Line } from './call.ts'
import type { Checker } from './checker.ts'
import type { Dice } from './dice.ts'
import type { Faults } from './faults.ts'
import type { Life } from './life.ts'
import type { Scheduler } from './scheduler.ts'

export interface StoreDeps {
  readonly scheduler: Scheduler
  readonly dice: Dice
  readonly faults: Faults
  readonly checker: Checker
  readonly objects: Map<string, Uint8Array>
}

/** Of one call, as the product's adapters have it. */
const DEADLINE_MS = 10_000
const DELAY_MS_MAX = 40

/** What is missing for a reader of plans is judged. */
export function storeFor(deps: StoreDeps, from: Life, role: 'reader' | 'other' = 'other'): ObjectStore {
  const { scheduler, dice, faults, checker, objects } = deps
  const line = (fault: Line['fault']): Line => ({
    scheduler,
    dice,
    from,
    to: undefined,
    fault,
    deadlineMs: DEADLINE_MS,
    delayMaxMs: DELAY_MS_MAX,
  })
  const write = (what: string, apply: () => void): Promise<void> => callOver(line(faults.onStore(true)), what, apply)
  const read = (what: string, key: string, cut: (body: Uint8Array) => Uint8Array): Promise<Uint8Array> => {
    const fault = faults.onStore(false)
    return callOver(line(fault), what, () => {
      const body = objects.get(key)
      if (body === undefined && role === 'reader') checker.missing(key)
      if (body === undefined || fault === 'not-found') throw new CinderError('not_found', `${key}: no such object`)
      const bytes = cut(body)
      if (fault === 'flipped' && bytes.length > 0) {
        const bit = dice.below(bytes.length * 8)
        bytes[bit >> 3]! ^= 1 << (bit & 7)
      }
      return bytes
    })
  }
  return {
    put: (key, body) => {
      // What is sent is what was there when it was sent.
      const sent = body.slice()
      return write(`put ${key}`, () => void objects.set(key, sent))
    },
    putIfAbsent: (key, body) =>
      write(`put ${key}`, () => {
        if (objects.has(key)) throw new CinderError('already_exists', `${key} exists`)
        objects.set(key, body.slice())
      }),
    get: (key) => read(`get ${key}`, key, (body) => body.slice()),
    getRange: (key, offset, lengthBytes) =>
      read(`get ${key}`, key, (body) => {
        if (offset + lengthBytes > body.length) throw new CinderError('data_loss', `${key}: short read`)
        return body.slice(offset, offset + lengthBytes)
      }),
    head: (key) =>
      callOver(line(faults.onStore(false)), `head ${key}`, () => {
        const body = objects.get(key)
        return body === undefined ? undefined : { sizeBytes: body.length }
      }),
    list: (prefix, { startAfter = '', limit = Number.POSITIVE_INFINITY } = {}) =>
      callOver(line(faults.onStore(false)), `list ${prefix}`, () =>
        [...objects.keys()]
          .filter((key) => key.startsWith(prefix) && key > startAfter)
          .sort()
          .slice(0, limit),
      ),
    delete: (key) =>
      write(`delete ${key}`, () => {
        checker.deleting(key)
        objects.delete(key)
      }),
    async createUpload(key) {
      const parts = new Map<number, Uint8Array>()
      return {
        putPart: (part, body) => write(`part ${part} of ${key}`, () => void parts.set(part, body.slice())),
        complete: () =>
          write(`complete ${key}`, () => {
            const bodies = [...parts].sort((a, b) => a[0] - b[0]).map(([, body]) => body)
            objects.set(key, new Uint8Array(Buffer.concat(bodies)))
          }),
        abort: () => write(`abort ${key}`, () => parts.clear()),
      }
    },
  }
}

/** Requests of the entries that the store has. */
export function journalledIn(objects: ReadonlyMap<string, Uint8Array>): CommitSegmentRequest[] {
  return [...objects].flatMap(([key, bytes]) =>
    key.startsWith(JOURNAL_PREFIX) ? [decodeJournalEntry(bytes).request] : [],
  )
}
