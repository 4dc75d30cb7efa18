/** The queue of deletions. Confirming forgets the tombstone; the object's id stays registered. */
import type { TwinState } from './state.ts'

interface Claim {
  readonly objectId: string
  readonly epoch: number
}

export function claimTombstones(state: TwinState, holder: string, limit: number): Claim[] {
  const nowMs = state.nowMs()
  const due = [...state.tombstones]
    .filter(([, { dueAtMs, expiresAtMs }]) => dueAtMs <= nowMs && expiresAtMs <= nowMs)
    .sort((a, b) => a[1].dueAtMs - b[1].dueAtMs)
    .slice(0, limit)
  for (const [, tombstone] of due) {
    tombstone.epoch++
    Object.assign(tombstone, { holder, expiresAtMs: nowMs + state.jobPolicy.leaseMs })
  }
  return due.map(([objectId, { epoch }]) => ({ objectId, epoch })).sort((a, b) => (a.objectId < b.objectId ? -1 : 1))
}

/** Only the exact claim confirms. Returns how many tombstones were forgotten. */
export function confirmDeleted(state: TwinState, holder: string, deleted: readonly Claim[]): number {
  let forgotten = 0
  for (const { objectId, epoch } of deleted) {
    const tombstone = state.tombstones.get(objectId)
    if (tombstone === undefined) continue
    const isOurs = tombstone.epoch === epoch && tombstone.holder === holder
    if (!isOurs && state.rules.leasesTombstones) continue
    state.tombstones.delete(objectId)
    forgotten++
  }
  return forgotten
}
