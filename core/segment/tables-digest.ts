/**
 * The digest of a profile's tables: mappings, locations, functions and strings, as bytes. Profiles of one tenant and
 * service with equal digests have equal tables. It costs 3 µs on 50 KB, where mapping those tables anew costs 170.
 *
 * The digest is well mixed and not hard to forge: who forges one mixes up the names of his own service.
 */
import type { Digest } from '../ports/digest.ts'
import type { DecodedProfile } from '../pprof/profile.ts'

const DIGEST_BYTES = 16

/** Undefined if the bytes of the tables do not lie together. */
export function tablesDigestOf(
  { raw, tableRuns }: Pick<DecodedProfile, 'raw' | 'tableRuns'>,
  digest: Digest,
): Uint8Array | undefined {
  if (tableRuns.length === 0) return undefined
  if (tableRuns.length === 2) return digest.digest128(raw.subarray(tableRuns[0], tableRuns[1]))
  const parts = new Uint8Array((tableRuns.length / 2) * DIGEST_BYTES)
  for (let i = 0; i < tableRuns.length; i += 2)
    parts.set(digest.digest128(raw.subarray(tableRuns[i], tableRuns[i + 1])), (i / 2) * DIGEST_BYTES)
  return digest.digest128(parts)
}
