/** The search for orphans: what no commit has named becomes a candidate; an old one is retired before it is deleted. */
import { isOrphanDue } from '#core/recovery/orphan-rule.ts'
import { ulidTimeMs } from '#core/wire/ulid.ts'
import type { TwinState } from './state.ts'

export function noteListed(state: TwinState, objectIds: readonly string[]): void {
  for (const objectId of objectIds)
    if (!state.registered.has(objectId) && !state.orphanCandidates.has(objectId))
      state.orphanCandidates.set(objectId, state.nowMs())
}

/** Returns those that were retired: what a commit had first is not, nor what an entry of the journal names. */
export function retireOrphans(
  state: TwinState,
  graceMs: number,
  journalled: ReadonlySet<string> = new Set(),
): string[] {
  const nowMs = state.nowMs()
  const retired: string[] = []
  for (const [objectId, firstSeenMs] of state.orphanCandidates) {
    if (state.registered.has(objectId)) state.orphanCandidates.delete(objectId)
    else if (journalled.has(objectId) && state.rules.sparesJournalled) continue
    else if (isOrphanDue({ idTimeMs: ulidTimeMs(objectId), firstSeenMs }, nowMs, graceMs)) retired.push(objectId)
  }
  for (const objectId of retired) {
    state.orphanCandidates.delete(objectId)
    if (state.rules.registersOrphans) state.registered.set(objectId, undefined)
    state.tombstones.set(objectId, { dueAtMs: nowMs, expiresAtMs: 0, holder: '', epoch: 0 })
  }
  return retired
}
