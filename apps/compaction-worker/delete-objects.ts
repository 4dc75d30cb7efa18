/**
 * Deletes objects whose tombstones are due: claim a batch under a lease, delete, confirm. A crash in between leaves
 * the tombstone, and deleting an absent object succeeds, so every step may be repeated.
 *
 * A slice ends with half of its lease: the rest falls free with the lease, so that workers never fight over a range. What the store refuses is told with the confirmation and waits longer each time; a store that
 * allows no delete at all ends the pass with its first batch.
 */
import { objectKey } from '#core/block/object-key.ts'
import { CinderError } from '#core/errors.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { Metastore } from '#core/rpc/metastore.ts'

/** 100 deletions at 10 ms each are done well inside the claim's lease. */
const BATCH_MAX = 100
/** Half of the 15 s for which tombstones are claimed. */
const SLICE_MAX_MS = 7_500

export interface DeleteDeps {
  readonly metastore: Metastore
  readonly store: ObjectStore
  readonly clock: Clock
  readonly log: Log
}

/** Number of objects deleted and forgotten. */
export async function deleteDueObjects(deps: DeleteDeps, holder: string, signal: AbortSignal): Promise<number> {
  let forgotten = 0
  while (!signal.aborted) {
    const { tombstones } = await deps.metastore.claimTombstones({ holder, limit: BATCH_MAX })
    if (tombstones.length === 0) break
    const { deleted, refused, isForbidden } = await deleteBatch(deps, tombstones, signal)
    if (refused.length > 0) {
      // One line a batch: a store that allows nothing has thousands of them.
      const [first] = refused
      deps.log.warn('objects not deleted', { objects: refused.length, first: first!.objectId, message: first!.reason })
    }
    if (deleted.length + refused.length > 0)
      forgotten += (await deps.metastore.confirmDeleted({ holder, deleted, refused })).forgotten
    if (isForbidden || tombstones.length < BATCH_MAX) break
  }
  return forgotten
}

type Tombstones = Awaited<ReturnType<Metastore['claimTombstones']>>['tombstones']

interface BatchOutcome {
  readonly deleted: Tombstones
  readonly refused: (Tombstones[number] & { reason: string })[]
  /** Not one could be deleted, and the store says that we may not. */
  readonly isForbidden: boolean
}

async function deleteBatch(deps: DeleteDeps, tombstones: Tombstones, signal: AbortSignal): Promise<BatchOutcome> {
  const deleted: Tombstones = []
  const refused: BatchOutcome['refused'] = []
  let isForbidden = false
  const startedMs = deps.clock.nowMs()
  for (const tombstone of tombstones) {
    // A clock that was set back says nothing about the lease.
    const tookMs = deps.clock.nowMs() - startedMs
    if (signal.aborted || tookMs < 0 || tookMs >= SLICE_MAX_MS) break
    if (isForbidden) {
      refused.push({ ...tombstone, reason: refused[0]!.reason })
      continue
    }
    try {
      await deps.store.delete(objectKey(tombstone.objectId))
      deleted.push(tombstone)
    } catch (error) {
      refused.push({ ...tombstone, reason: error instanceof Error ? error.message : String(error) })
      isForbidden = deleted.length === 0 && error instanceof CinderError && error.kind === 'permission_denied'
    }
  }
  return { deleted, refused, isForbidden }
}
