/** Verdicts of a push, one per profile (core/rpc/segment-writer.ts). */
import { CinderError } from '#core/errors.ts'
import { tellChanges } from '#core/ingest/rule-changes.ts'
import type { ProfileVerdict } from '#core/rpc/segment-writer.ts'
import type { Settlement } from './batch.ts'

export function rejectedVerdict(error: CinderError, decompressedBytes: number): ProfileVerdict {
  const { kind, reason, message } = error
  return { status: 'rejected', kind, reason, message, retryAfterMs: error.retryAfterMs ?? 0, decompressedBytes }
}

/** Nobody waits for the answer: what of the request was not read by then is not stored. */
export function clientGone(): CinderError {
  return new CinderError('canceled', 'the client has left: the rest of its request is not read', {
    reason: 'client_gone',
    outcome: 'unknown',
  })
}

/** Nothing was left to store, which is no fault. */
export function emptyVerdict(decompressedBytes: number): ProfileVerdict {
  return accepted('empty', decompressedBytes)
}

/** The tenant's own rules do not want it, which is a success to the client. */
export function droppedVerdict(reason: string, decompressedBytes: number): ProfileVerdict {
  return { ...accepted('dropped', decompressedBytes), reason }
}

export interface SettledProfile {
  readonly decompressedBytes: number
  readonly isClockRepaired: boolean
  readonly changes: number
  readonly renamedTo?: string | undefined
}

export function settledVerdict(
  settlement: Settlement,
  { decompressedBytes, isClockRepaired, changes, renamedTo }: SettledProfile,
): ProfileVerdict {
  if (settlement.kind === 'failed') return rejectedVerdict(settlement.error, decompressedBytes)
  const verdict = accepted(settlement.kind, decompressedBytes)
  if (isClockRepaired) verdict.reason = CLOCK_REPAIRED
  if (changes !== 0) verdict.changes = tellChanges(changes, renamedTo)
  return verdict
}

/** Reason of a verdict that is no rejection: it was stored under another time than it came with. */
export const CLOCK_REPAIRED = 'clock_repaired'

function accepted(status: string, decompressedBytes: number): ProfileVerdict {
  return { status, kind: '', reason: '', message: '', retryAfterMs: 0, decompressedBytes }
}
