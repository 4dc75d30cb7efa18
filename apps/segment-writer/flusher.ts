/**
 * Makes a closed batch durable and visible: encode, PUT, commit, settle.
 *
 * 1. Each head becomes a dataset; a head that does not encode fails exactly the pushes in it.
 * 2. One object with all datasets is written; a failure fails all its pushes as retryable (nothing is visible).
 * 3. Its metadata is committed. The commit is idempotent by object id, so an unknown outcome is asked again; if it
 *    stays unknown, the pushes get a retryable error and a retry counts once.
 * 4. Headers that the commit put on a skip list are duplicates: their pushes succeed, their samples count once.
 * Must not: acknowledge before the commit, or hold the event loop for longer than `ENCODE_TURN_MS` and one head.
 */
import { CinderError, isRetryable } from '#core/errors.ts'
import { encodeDataset, encodeObject, type EncodedDataset } from '#core/block/write.ts'
import { objectKey } from '#core/block/object-key.ts'
import type { Dataset } from '#core/block/dataset.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Codec } from '#core/ports/codec.ts'
import type { Log } from '#core/ports/log.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { CommitSegmentRequest, CommitSegmentResponse, Metastore } from '#core/rpc/metastore.ts'
import { PROFILE_ID_BYTES } from '#core/segment/head.ts'
import type { Batch, BatchHead, Settlement } from './batch.ts'
import type { LabelSetCache } from './label-set-cache.ts'

/** A commit whose outcome is unknown is asked again at most this often: 50, 200 and 800 ms later. */
const COMMIT_ATTEMPTS_MAX = 4

/**
 * Encoding lets requests in between after this long. Not after each head: a turn of the event loop costs 1 ms where a
 * small head costs 0.05 ms, so a flush of 5,000 services took 6 s.
 */
const ENCODE_TURN_MS = 5

export interface FlusherDeps {
  readonly store: ObjectStore
  readonly metastore: Metastore
  readonly codec: Codec
  readonly clock: Clock
  readonly log: Log
  readonly labelSets: LabelSetCache
}

interface EncodedHead {
  readonly source: BatchHead
  readonly dataset: Dataset
  readonly profileOrdinal: Uint32Array
  readonly encoded: EncodedDataset
}

/** Settles every waiting profile of the batch; never throws. */
export async function flushBatch(deps: FlusherDeps, batch: Batch): Promise<void> {
  const heads = await encodeHeads(deps, batch)
  if (heads.length === 0) return
  try {
    const createdMs = deps.clock.nowMs()
    const { bytes, descriptors } = encodeObject({
      objectId: batch.objectId,
      level: 0,
      createdMs,
      sources: [],
      datasets: heads.map(({ dataset, encoded }) => ({
        tenant: dataset.tenant,
        service: dataset.service,
        windowStartMs: dataset.windowStartMs,
        windowMs: dataset.windowMs,
        encoded,
      })),
    })
    await deps.store.put(objectKey(batch.objectId), bytes)
    const labelSets = heads.flatMap(({ dataset }) => deps.labelSets.missing(dataset))
    const response = await commit(deps, {
      objectId: batch.objectId,
      sizeBytes: bytes.length,
      datasets: descriptors,
      ...headerIds(heads),
      labelSets,
    })
    deps.labelSets.remember(labelSets)
    settleCommitted(heads, response)
  } catch (error) {
    const failure = asRetryable(error)
    deps.log.warn('segment not committed', { objectId: batch.objectId, kind: failure.kind, message: failure.message })
    for (const { source } of heads) settleAll(source, { kind: 'failed', error: failure })
  }
}

async function encodeHeads(deps: FlusherDeps, batch: Batch): Promise<EncodedHead[]> {
  const encoded: EncodedHead[] = []
  let turnStartedMs = deps.clock.nowMs()
  for (const source of batch.sortedHeads()) {
    try {
      const { dataset, profileOrdinal } = source.head.finish()
      encoded.push({ source, dataset, profileOrdinal, encoded: encodeDataset(dataset, { codec: deps.codec }) })
    } catch (cause) {
      deps.log.error('head does not encode', { ...source.head.key, message: String(cause) })
      const error = new CinderError('internal', 'the profiles could not be encoded', { reason: 'encode_failed', cause })
      settleAll(source, { kind: 'failed', error })
    }
    if (deps.clock.nowMs() - turnStartedMs < ENCODE_TURN_MS) continue
    await deps.clock.sleep(0)
    turnStartedMs = deps.clock.nowMs()
  }
  return encoded
}

function headerIds(heads: readonly EncodedHead[]): Pick<CommitSegmentRequest, 'profileIds' | 'deduplicate'> {
  const count = heads.reduce((sum, { dataset }) => sum + dataset.headers.count, 0)
  const profileIds = new Uint8Array(count * PROFILE_ID_BYTES)
  const deduplicate = new Uint8Array(count)
  let at = 0
  for (const { dataset, source, profileOrdinal } of heads) {
    profileIds.set(dataset.headers.profileId, at * PROFILE_ID_BYTES)
    for (const ordinal of profileOrdinal) deduplicate[at++] = source.waiting[ordinal]!.deduplicate ? 1 : 0
  }
  return { profileIds, deduplicate }
}

async function commit(deps: FlusherDeps, request: CommitSegmentRequest): Promise<CommitSegmentResponse> {
  for (let attempt = 1; ; attempt++) {
    try {
      const response = await deps.metastore.commitSegment(request)
      if (response.verdict !== 'refused') return response
      throw new CinderError('aborted', 'the segment was given up before its commit: send the profiles again', {
        reason: 'segment_refused',
      })
    } catch (error) {
      const again = error instanceof CinderError && isRetryable(error.kind) && error.kind !== 'aborted'
      if (!again || attempt === COMMIT_ATTEMPTS_MAX) throw error
      await deps.clock.sleep(50 * 4 ** (attempt - 1))
    }
  }
}

function settleCommitted(heads: readonly EncodedHead[], response: CommitSegmentResponse): void {
  const skipped = new Map(response.skips.map(({ index, positions }) => [index, positions]))
  heads.forEach(({ source, profileOrdinal }, index) => {
    const duplicate = new Set<number>()
    for (const position of skipped.get(index) ?? []) duplicate.add(profileOrdinal[position]!)
    source.waiting.forEach((waiting, ordinal) =>
      waiting.settle(duplicate.has(ordinal) ? { kind: 'duplicate' } : { kind: 'stored' }),
    )
  })
}

function settleAll(source: BatchHead, settlement: Settlement): void {
  for (const waiting of source.waiting) waiting.settle(settlement)
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
