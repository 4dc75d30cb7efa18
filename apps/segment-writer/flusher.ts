/**
 * Makes a closed batch durable and visible: encode, PUT, commit, settle.
 *
 * 1. Every shard makes datasets of its heads, each at the same time; a head that does not encode, or that was lost with
 *    its thread, fails exactly the pushes in it.
 * 2. One object with all datasets is written; a failure fails all its pushes as retryable (nothing is visible).
 * 3. Its metadata is committed. If the metastore says that label sets were left out which a deletion took away, it is
 *    committed with all of them (whole-label-sets.ts). The commit is idempotent by object id, so an unknown outcome is asked again; if it
 *    stays unknown, the pushes get a retryable error and a retry counts once. Then the commit is written down beside the
 *    object, and the metastore repeats it later; by policy that is waited for and acknowledged (journal.ts).
 * 4. Headers that the commit put on a skip list are duplicates: their pushes succeed, their samples count once. What is
 *    older than its retention was not kept, and its pushes say so.
 * Must not: acknowledge before the commit, or before an entry of the journal that stands for it by policy.
 */
import { CinderError, isRetryable } from '#core/errors.ts'
import { encodeObject } from '#core/block/write.ts'
import { objectKey } from '#core/block/object-key.ts'
import type { Codec } from '#core/ports/codec.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { CommitSegmentRequest, CommitSegmentResponse, Metastore } from '#core/rpc/metastore.ts'
import { PROFILE_ID_BYTES } from '#core/segment/head.ts'
import type { Batch, BatchPart } from './batch.ts'
import type { FailureLog } from './failure-log.ts'
import { compareKeys, type HeadResult, type HeadShard } from './head-shard.ts'
import { isUnanswered, type WriterJournal } from './journal.ts'
import { withWholeLabelSets } from './whole-label-sets.ts'

/** A commit whose outcome is unknown is asked again at most this often: 50, 200 and 800 ms later. */
const COMMIT_ATTEMPTS_MAX = 4

/** A verdict of the commit: nothing was done, label sets were left out that a deletion of a tenant took away. */
const LABELS_OUTDATED = 'labels-outdated'
/** All else is no verdict: an answer that was cut off may be an empty message, which is a valid one. */
const VERDICTS: ReadonlySet<string> = new Set(['committed', 'replayed', LABELS_OUTDATED])

export interface FlusherDeps {
  readonly store: ObjectStore
  readonly codec: Codec
  readonly metastore: Metastore
  readonly clock: Clock
  readonly log: Log
  readonly shards: readonly HeadShard[]
  readonly journal: WriterJournal
  readonly failures: FailureLog
}

interface EncodedHead {
  readonly part: BatchPart
  readonly result: Extract<HeadResult, { kind: 'encoded' }>
}

/** Settles every waiting profile of the batch; never throws. True if a segment was committed. */
export async function flushBatch(deps: FlusherDeps, batch: Batch): Promise<boolean> {
  let response: CommitSegmentResponse | undefined
  try {
    const heads = await encodeHeads(deps, batch)
    if (heads.length > 0) response = await storeSegment(deps, batch, heads)
  } finally {
    const isCommitted = response !== undefined
    batch.parts.forEach(({ isUsed }, shard) => {
      if (isUsed) deps.shards[shard]!.settled(batch.number, isCommitted, response?.labelEpoch)
    })
  }
  return response !== undefined
}

/** Undefined: nothing was committed, and the pushes were told. */
async function storeSegment(
  deps: FlusherDeps,
  batch: Batch,
  heads: readonly EncodedHead[],
): Promise<CommitSegmentResponse | undefined> {
  const { objectId } = batch
  let request: CommitSegmentRequest
  try {
    const { bytes, descriptors } = encodeObject({
      objectId,
      level: 0,
      createdMs: deps.clock.nowMs(),
      sources: [],
      datasets: heads.map(({ result: { key, encoded } }) => ({ ...key, encoded })),
    })
    await deps.store.put(objectKey(objectId), bytes)
    request = {
      objectId,
      sizeBytes: bytes.length,
      datasets: descriptors,
      ...headerIds(heads),
      labelSets: heads.flatMap(({ result }) => [...result.labelSets]),
      labelEpoch: oldestEpoch(heads),
    }
  } catch (error) {
    settleFailed(deps, objectId, { heads, error })
    return undefined
  }
  const startedMs = deps.clock.nowMs()
  try {
    const response = await commit(deps, request, heads)
    settleCommitted(heads, response)
    return response
  } catch (error) {
    await afterNoCommit(deps, request, { heads, error, startedMs })
    return undefined
  }
}

/** The object is durable. Whoever is told to retry is told first. */
async function afterNoCommit(
  deps: FlusherDeps,
  request: CommitSegmentRequest,
  failed: { readonly heads: readonly EncodedHead[]; readonly error: unknown; readonly startedMs: number },
): Promise<void> {
  const { heads, error, startedMs } = failed
  const isOpen = error instanceof CinderError && isUnanswered(error)
  if (!isOpen || deps.journal.mode !== 'acknowledge') settleFailed(deps, request.objectId, failed)
  if (!isOpen) return
  const isAcknowledged = await writeEntry(deps, request, { heads, startedMs })
  if (deps.journal.mode !== 'acknowledge') return
  if (!isAcknowledged) settleFailed(deps, request.objectId, failed)
  else for (const { part, result } of heads) part.settleHead(result.head, { kind: 'stored' })
}

/** Without an entry the object is an orphan; a flush never fails for it. */
async function writeEntry(
  deps: FlusherDeps,
  request: CommitSegmentRequest,
  { heads, startedMs }: { readonly heads: readonly EncodedHead[]; readonly startedMs: number },
): Promise<boolean> {
  if (deps.journal.mode === 'off') return false
  let whole: CommitSegmentRequest
  try {
    // Whoever reads the entry cannot ask for what is left out.
    whole = wholeRequest(deps, request, heads)
  } catch (error) {
    deps.log.warn('journal entry not written', { objectId: request.objectId, error })
    return false
  }
  return await deps.journal.write(whole, startedMs)
}

function settleFailed(
  deps: FlusherDeps,
  objectId: string,
  { heads, error }: { readonly heads: readonly EncodedHead[]; readonly error: unknown },
): void {
  const failure = asRetryable(error)
  // The pushes get a sentence for agents; what went wrong is for us.
  const cause = error instanceof CinderError ? error.cause : undefined
  deps.failures.notCommitted(failure, { objectId, error, cause })
  for (const { part, result } of heads) part.settleHead(result.head, { kind: 'failed', error: failure })
}

/** In the order of an object's datasets. */
async function encodeHeads(deps: FlusherDeps, batch: Batch): Promise<EncodedHead[]> {
  const encoded = await Promise.all(batch.parts.map((part, shard) => encodePart(deps, batch, { part, shard })))
  return encoded.flat().sort((a, b) => compareKeys(a.result.key, b.result.key))
}

async function encodePart(
  deps: FlusherDeps,
  batch: Batch,
  { part, shard }: { part: BatchPart; shard: number },
): Promise<EncodedHead[]> {
  if (!part.isUsed) return []
  const heads: EncodedHead[] = []
  const kept = new Set<number>()
  try {
    for (const result of await deps.shards[shard]!.encode(batch.number)) {
      if (result.kind === 'encoded') {
        kept.add(result.head)
        heads.push({ part, result })
        continue
      }
      deps.log.error('head does not encode', { ...result.key, message: result.message })
      const error = new CinderError('internal', 'the profiles could not be encoded', { reason: 'encode_failed' })
      part.settleHead(result.head, { kind: 'failed', error })
    }
  } catch (error) {
    deps.log.warn('heads are lost', { objectId: batch.objectId, shard, message: String(error) })
  }
  // Whatever the shard knows nothing of any more: nothing of it was stored.
  for (const head of part.waiting.keys())
    if (!kept.has(head)) part.settleHead(head, { kind: 'failed', error: threadLost() })
  return heads
}

/** Nothing of it was stored. */
export function threadLost(): CinderError {
  return new CinderError('unavailable', 'the thread that held the profiles has ended: send them again', {
    reason: 'writer_thread',
    outcome: 'not-applied',
    retryAfterMs: 1000,
  })
}

function headerIds(heads: readonly EncodedHead[]): Pick<CommitSegmentRequest, 'profileIds' | 'deduplicate'> {
  const count = heads.reduce((sum, { result }) => sum + result.profileOrdinal.length, 0)
  const profileIds = new Uint8Array(count * PROFILE_ID_BYTES)
  const deduplicate = new Uint8Array(count)
  let at = 0
  for (const { part, result } of heads) {
    profileIds.set(result.profileIds, at * PROFILE_ID_BYTES)
    const waiting = part.waiting.get(result.head)!
    for (const ordinal of result.profileOrdinal) deduplicate[at++] = waiting[ordinal]!.deduplicate ? 1 : 0
  }
  return { profileIds, deduplicate }
}

/** Shards hear of an epoch when they have part in a batch: of two the older one is outdated for certain. */
function oldestEpoch(heads: readonly EncodedHead[]): number | undefined {
  const epochs = heads.flatMap(({ result: { labelEpoch } }) => (labelEpoch === undefined ? [] : [labelEpoch]))
  return epochs.length === 0 ? undefined : Math.min(...epochs)
}

function wholeRequest(
  { codec }: FlusherDeps,
  request: CommitSegmentRequest,
  heads: readonly EncodedHead[],
): CommitSegmentRequest {
  const regions = heads.map(({ result }) => result.encoded.bytes)
  return withWholeLabelSets(request, regions, codec)
}

async function commit(
  deps: FlusherDeps,
  request: CommitSegmentRequest,
  heads: readonly EncodedHead[],
): Promise<CommitSegmentResponse> {
  const { clock, journal } = deps
  const over = new AbortController()
  const { patienceMs } = journal
  const attempts = commitAttempts(deps, request, over.signal).then((response) =>
    response.verdict === LABELS_OUTDATED
      ? commitAttempts(deps, wholeRequest(deps, request, heads), over.signal)
      : response,
  )
  if (patienceMs === undefined) return await attempts
  // One that is answered after all says that the next is worth waiting for.
  attempts.catch(() => undefined)
  const late = clock.sleep(patienceMs, over.signal).then(() => undefined)
  const outcome = await Promise.race([attempts, late]).finally(() => over.abort())
  if (outcome !== undefined) return outcome
  throw new CinderError('unavailable', `no answer from the metastore within ${patienceMs} ms`, {
    reason: 'commit_patience',
    outcome: 'unknown',
    retryAfterMs: 1000,
  })
}

/** No further attempt is made once `over` is. */
async function commitAttempts(
  { metastore, clock, journal }: FlusherDeps,
  request: CommitSegmentRequest,
  over: AbortSignal,
): Promise<CommitSegmentResponse> {
  for (let attempt = 1; ; attempt++) {
    try {
      const response = await metastore.commitSegment(request)
      if (VERDICTS.has(response.verdict)) {
        journal.noteAnswer()
        return response
      }
      if (response.verdict !== 'refused') throw noVerdict(response.verdict)
      journal.noteAnswer()
      throw new CinderError('aborted', 'the segment was given up before its commit: send the profiles again', {
        reason: 'segment_refused',
      })
    } catch (error) {
      const again = error instanceof CinderError && isRetryable(error.kind) && error.kind !== 'aborted'
      if (!again || attempt === COMMIT_ATTEMPTS_MAX || over.aborted) throw error
      await clock.sleep(50 * 4 ** (attempt - 1), over)
      if (over.aborted) throw error
    }
  }
}

function noVerdict(verdict: string): CinderError {
  return new CinderError('unavailable', `the metastore answered a commit with ${JSON.stringify(verdict)}`, {
    reason: 'cut_answer',
    outcome: 'unknown',
    retryAfterMs: 1000,
  })
}

function settleCommitted(heads: readonly EncodedHead[], response: CommitSegmentResponse): void {
  const skipped = new Map(response.skips.map(({ index, positions }) => [index, positions]))
  const expired = new Set(response.expired)
  heads.forEach(({ part, result }, index) => {
    if (expired.has(index)) {
      part.settleHead(result.head, { kind: 'failed', error: olderThanRetention(result.key) })
      return
    }
    const duplicate = new Set<number>()
    for (const position of skipped.get(index) ?? []) duplicate.add(result.profileOrdinal[position]!)
    part.waiting
      .get(result.head)!
      .forEach(({ settle }, ordinal) => settle({ kind: duplicate.has(ordinal) ? 'duplicate' : 'stored' }))
    part.waiting.delete(result.head)
  })
}

/** A retry would meet the same. */
function olderThanRetention({ tenant, service }: { readonly tenant: string; readonly service: string }): CinderError {
  return new CinderError(
    'invalid_argument',
    `the profile is older than the retention of service ${service} of tenant ${tenant} (CINDER_RETENTION, or a rule of ` +
      'retention): what is that old was deleted, and is not taken again',
    { reason: 'retention' },
  )
}

/** The client may retry: a retry of what did land is a duplicate. */
function asRetryable(error: unknown): CinderError {
  if (error instanceof CinderError && isRetryable(error.kind)) return error
  return new CinderError('unavailable', 'the profiles could not be stored: send them again', {
    reason: 'store_unavailable',
    outcome: 'unknown',
    retryAfterMs: 1000,
    cause: error,
  })
}
