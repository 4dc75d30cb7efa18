/** What a writer answers of a profile that it has stored. */
import type { ProfileVerdict } from '#core/rpc/segment-writer.ts'

export const STORED: ProfileVerdict = {
  status: 'stored',
  kind: '',
  reason: '',
  message: '',
  retryAfterMs: 0,
  decompressedBytes: 0,
}
