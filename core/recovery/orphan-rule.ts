/**
 * When an object that no commit has named is an orphan: it was written, and never acknowledged to anybody.
 *
 * Two ages must both pass the grace: since the search saw it first, by the clock of Postgres, and since its id was made,
 * by the clock of its writer. An id from the future has no age of its own: its writer's clock is wrong, and the search's
 * word is enough. So a writer whose clock is days behind cannot make a young object old.
 */
import { MS_PER_DAY } from '../units.ts'

/** No commit is repeated for so long: pushes end within seconds, jobs within minutes, a suspended laptop overnight. */
export const ORPHAN_GRACE_MS = MS_PER_DAY

export interface OrphanCandidate {
  readonly idTimeMs: number
  readonly firstSeenMs: number
}

export function isOrphanDue(candidate: OrphanCandidate, nowMs: number, graceMs = ORPHAN_GRACE_MS): boolean {
  const { idTimeMs, firstSeenMs } = candidate
  if (nowMs - firstSeenMs < graceMs) return false
  return idTimeMs > firstSeenMs || nowMs - idTimeMs >= graceMs
}
