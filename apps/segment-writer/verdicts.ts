/** Verdicts of a push, one per profile (core/rpc/segment-writer.ts). */
import type { CinderError } from '#core/errors.ts'
import type { ProfileVerdict } from '#core/rpc/segment-writer.ts'
import type { Settlement } from './batch.ts'

export function rejectedVerdict(error: CinderError, decompressedBytes: number): ProfileVerdict {
  const { kind, reason, message } = error
  return { status: 'rejected', kind, reason, message, retryAfterMs: error.retryAfterMs ?? 0, decompressedBytes }
}

/** Nothing was left to store, which is no fault. */
export function emptyVerdict(decompressedBytes: number): ProfileVerdict {
  return accepted('empty', decompressedBytes)
}

export function settledVerdict(settlement: Settlement, decompressedBytes: number): ProfileVerdict {
  if (settlement.kind === 'failed') return rejectedVerdict(settlement.error, decompressedBytes)
  return accepted(settlement.kind, decompressedBytes)
}

function accepted(status: string, decompressedBytes: number): ProfileVerdict {
  return { status, kind: '', reason: '', message: '', retryAfterMs: 0, decompressedBytes }
}
