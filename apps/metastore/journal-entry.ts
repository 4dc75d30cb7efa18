/**
 * One entry of the journal: commits what a writer could not, or says why that is not possible.
 *
 * 1. `judgeEntry` (no I/O) reads the bytes and compares them with the key, the object and the time.
 * 2. Where a client's retry may have been counted so long ago that the ledger has forgotten its ids, the ids of the live
 *    datasets of the same tenant, service and time are read, and those that the entry has too are put back into the ledger.
 * 3. The commit is the statement of every commit: it decides duplicates, retention, dead incarnations, and repeats its
 *    verdict if the object is known already, so that two replicas may work on one entry.
 * What cannot be recovered is a verdict with its reason; what may work later is an error that can be retried.
 */
import { objectKey } from '#core/block/object-key.ts'
import { CinderError, isRetryable } from '#core/errors.ts'
import type { CommitSegmentRequest, DatasetDescriptor } from '#core/rpc/metastore.ts'
import { MS_PER_DAY, MS_PER_MINUTE } from '#core/units.ts'
import { ulidTimeMs } from '#core/wire/ulid.ts'
import { decodeJournalEntry, type JournalEntry } from '#platform/journal.ts'
import type { JournalIndex } from './journal-index.ts'
import { type ObjectReader, readHead, readProfileIds } from './recovery-objects.ts'
import { checkSegment } from './validate.ts'

/** As long as an id stays on the retired list: what is older might have been committed, deleted and forgotten. */
const ENTRY_AGE_MAX_MS = 7 * MS_PER_DAY
/**
 * The ledger keeps ids for 15 minutes. A third of that, so that neither a clock that is ahead by some minutes nor the time
 * until the commit makes a difference.
 */
const LEDGER_TRUST_MS = 5 * MS_PER_MINUTE
const AHEAD_MAX_MS = MS_PER_MINUTE

export interface EntryDeps extends ObjectReader {
  readonly index: JournalIndex
}

export interface EntryTimes {
  /** By Postgres. */
  readonly nowMs: number
  /** When the last sweep began that left no entry behind, by Postgres; undefined: not known. */
  readonly cleanMs: number | undefined
}

export type EntryVerdict =
  | { readonly kind: 'recovered'; readonly how: 'committed' | 'replayed'; readonly readIds: boolean }
  | { readonly kind: 'hopeless'; readonly reason: string }

export type EntryJudgement =
  | { readonly kind: 'commit'; readonly request: CommitSegmentRequest; readonly trustsLedger: boolean }
  | { readonly kind: 'hopeless'; readonly reason: string }

/** `sizeBytes` of the object; undefined: there is none. A version after ours fails as `unimplemented`. */
export function judgeEntry(
  objectId: string,
  bytes: Uint8Array,
  found: EntryTimes & { readonly sizeBytes: number | undefined },
): EntryJudgement {
  const { nowMs, cleanMs, sizeBytes } = found
  let entry: JournalEntry
  try {
    entry = decodeJournalEntry(bytes)
    checkSegment(entry.request)
  } catch (error) {
    if (error instanceof CinderError && error.kind !== 'unimplemented') return hopeless(error.message)
    throw error
  }
  const { request, writtenMs } = entry
  if (request.objectId !== objectId) return hopeless(`it speaks of the object ${request.objectId}`)
  if (sizeBytes === undefined) return hopeless('its object is not in the bucket')
  if (sizeBytes !== request.sizeBytes)
    return hopeless(`its object has ${sizeBytes} bytes instead of ${request.sizeBytes}`)
  // By the clock of its writer; the earlier of both.
  const ageMs = nowMs - Math.min(writtenMs, ulidTimeMs(objectId))
  if (ageMs > ENTRY_AGE_MAX_MS) return hopeless('it is older than seven days')
  return { kind: 'commit', request, trustsLedger: trustsLedger(ageMs, { nowMs, cleanMs }) }
}

/**
 * Whether all that a client may have pushed again since is still in the ledger. Two witnesses must say so: the writer's
 * clock, which may be wrong, and the last sweep that found nothing more, by the clock of Postgres, which knows nothing of a
 * writer that stood still before it wrote the entry.
 */
function trustsLedger(ageMs: number, { nowMs, cleanMs }: EntryTimes): boolean {
  if (ageMs < -AHEAD_MAX_MS || ageMs > LEDGER_TRUST_MS || cleanMs === undefined) return false
  return nowMs >= cleanMs && nowMs - cleanMs <= LEDGER_TRUST_MS
}

function hopeless(reason: string): { readonly kind: 'hopeless'; readonly reason: string } {
  return { kind: 'hopeless', reason }
}

export async function recoverEntry(
  deps: EntryDeps,
  objectId: string,
  entry: { readonly bytes: Uint8Array; readonly times: EntryTimes },
): Promise<EntryVerdict> {
  const object = await deps.store.head(objectKey(objectId))
  const judged = judgeEntry(objectId, entry.bytes, { ...entry.times, sizeBytes: object?.sizeBytes })
  if (judged.kind === 'hopeless') return judged
  const { request, trustsLedger: isTrusted } = judged
  if (!isTrusted) await enterCountedIds(deps, request)
  const { index } = deps
  try {
    const outcome = await index.commitSegment(request)
    if (outcome === 'committed') return { kind: 'recovered', how: 'committed', readIds: !isTrusted }
  } catch (error) {
    // What Postgres will never take, as a number beyond its range.
    if (error instanceof CinderError && !isRetryable(error.kind)) return hopeless(error.message)
    throw error
  }
  return (await index.isCommitted(objectId))
    ? { kind: 'recovered', how: 'replayed', readIds: !isTrusted }
    : hopeless('its object was given up before, and its id retired')
}

/** A dataset of the entry at a time, and of the index one at a time: 16 bytes a profile. */
async function enterCountedIds(deps: EntryDeps, request: CommitSegmentRequest): Promise<void> {
  const beginMs = ulidTimeMs(request.objectId)
  let position = 0
  for (const descriptor of request.datasets) {
    const mine = idsOf(request, position, descriptor.profileCount)
    position += descriptor.profileCount
    if (mine.size === 0) continue
    const counted = await countedIds(deps, { objectId: request.objectId, descriptor, mine })
    if (counted.length === 0) continue
    const ids = new Uint8Array(Buffer.concat(counted))
    await deps.index.insertCountedIds({ tenant: descriptor.tenant, beginMs, ids })
  }
}

/** Without those that came with neither id nor time. */
function idsOf({ profileIds, deduplicate }: CommitSegmentRequest, from: number, count: number): Set<string> {
  const ids = new Set<string>()
  for (let at = from; at < from + count; at++)
    if (deduplicate[at] === 1) ids.add(nameOf(profileIds.subarray(at * 16, at * 16 + 16)))
  return ids
}

async function countedIds(
  deps: EntryDeps,
  of: { readonly objectId: string; readonly descriptor: DatasetDescriptor; readonly mine: ReadonlySet<string> },
): Promise<Uint8Array[]> {
  const { tenant, service, minTimeMs: startMs, maxTimeMs: endMs } = of.descriptor
  const plan = { tenants: [tenant], services: [service], startMs, endMs }
  const objects = await deps.index.planQuery(plan)
  const counted = new Map<string, Uint8Array>()
  for (const { objectId, datasets } of objects) {
    if (objectId === of.objectId) continue
    for (const { descriptor } of datasets) {
      const ids = await liveIds(deps, objectId, descriptor)
      for (let at = 0; at < ids.length; at += 16) {
        const id = ids.subarray(at, at + 16)
        const name = nameOf(id)
        if (of.mine.has(name)) counted.set(name, id)
      }
    }
  }
  return [...counted.values()]
}

/** None of an object that the bucket has lost or that is damaged: `cinder fsck` names it, and nobody can count it. */
async function liveIds(deps: EntryDeps, objectId: string, descriptor: DatasetDescriptor): Promise<Uint8Array> {
  try {
    return await readProfileIds(deps, objectId, await readHead(deps, objectId, descriptor))
  } catch (error) {
    if (error instanceof CinderError && (error.kind === 'not_found' || error.kind === 'data_loss'))
      return new Uint8Array(0)
    throw error
  }
}

function nameOf(id: Uint8Array): string {
  return String.fromCharCode(...id)
}
