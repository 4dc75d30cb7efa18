/**
 * The 128-bit digest: xxHash3 with two seeds, 64 bits each.
 *
 * It is used for the identity of profiles within one tenant, so it must be well mixed, not hard to forge: who forges a
 * collision hides his own profile. Measured on 50 KB (Bun 1.4.5, µs): xxHash3 twice 1.5, sha1 27, sha256 28, md5 67,
 * blake2b 70. A profile costs about 2.8 ms in all, so sha1 would be 1 % of ingest and this is 0.05 %.
 *
 * The seeds are below 2^32, because Bun drops the upper half of a seed.
 */
import type { Digest } from '#core/ports/digest.ts'

const SEED_HIGH = 0x9e3779b9n
const SEED_LOW = 0x85ebca6bn

export function createDigest(): Digest {
  return {
    digest128(bytes) {
      const digest = new Uint8Array(16)
      const view = new DataView(digest.buffer)
      view.setBigUint64(0, Bun.hash.xxHash3(bytes, SEED_HIGH))
      view.setBigUint64(8, Bun.hash.xxHash3(bytes, SEED_LOW))
      return digest
    },
  }
}
