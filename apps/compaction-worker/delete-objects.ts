/**
 * Deletes objects whose tombstones are due: claim a batch under a lease, delete, confirm. A crash in between leaves
 * the tombstone, and deleting an absent object succeeds, so every step may be repeated.
 */
import { objectKey } from '#core/block/object-key.ts'
import type { Log } from '#core/ports/log.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { Metastore } from '#core/rpc/metastore.ts'

/** 100 deletions at 10 ms each are done well inside the claim's lease. */
const BATCH_MAX = 100

export interface DeleteDeps {
  readonly metastore: Metastore
  readonly store: ObjectStore
  readonly log: Log
}

/** Number of objects deleted and forgotten. */
export async function deleteDueObjects(deps: DeleteDeps, holder: string, signal: AbortSignal): Promise<number> {
  let forgotten = 0
  while (!signal.aborted) {
    const { tombstones } = await deps.metastore.claimTombstones({ holder, limit: BATCH_MAX })
    if (tombstones.length === 0) break
    const deleted: typeof tombstones = []
    for (const tombstone of tombstones) {
      try {
        await deps.store.delete(objectKey(tombstone.objectId))
        deleted.push(tombstone)
      } catch (error) {
        // Stays claimed until its lease ends, then is tried again; the others go on.
        deps.log.warn('object not deleted', { objectId: tombstone.objectId, message: String(error) })
      }
    }
    if (deleted.length > 0) forgotten += (await deps.metastore.confirmDeleted({ holder, deleted })).forgotten
    if (tombstones.length < BATCH_MAX) break
  }
  return forgotten
}
