/** What a writer answers of a profile that it has stored, and of one that it has not. */
import type { ErrorKind } from '#core/errors.ts'
import type { ProfileVerdict } from '#core/rpc/segment-writer.ts'

export const STORED: ProfileVerdict = {
  status: 'stored',
  kind: '',
  reason: '',
  message: '',
  retryAfterMs: 0,
  decompressedBytes: 0,
}

export function refusal(kind: ErrorKind, reason: string = kind, retryAfterMs = 0): ProfileVerdict {
  return { ...STORED, status: 'rejected', kind, reason, message: reason, retryAfterMs }
}
