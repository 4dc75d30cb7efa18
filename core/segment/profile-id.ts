/**
 * The identity of a pushed profile, by which duplicates are decided (once, at the segment's commit).
 *
 * id = digest(tenant, pushed labels, digest of the decompressed bytes, the client's id and time as sent, ordinal among
 * equals in its request). A retry has the same id; two equal profiles of one request have ordinals 0 and 1; two real
 * profiles with equal times differ in their bytes. Only 14 of the 16 bytes are the digest's: the head numbers the
 * series of one profile in the last two (112 bits: 2^-64 for a collision among 16 million ids).
 */
import { labelsKey, type Labels } from '../labels/labels.ts'
import type { Digest } from '../ports/digest.ts'

export interface ProfileIdentity {
  readonly tenant: string
  readonly labels: Labels
  readonly contentDigest: Uint8Array
  readonly clientId: string
  /** As sent; 0 = none. */
  readonly timeNanos: bigint
  readonly ordinal: number
}

const encoder = new TextEncoder()

export function profileIdOf(digest: Digest, identity: ProfileIdentity): Uint8Array {
  const text = JSON.stringify([
    identity.tenant,
    labelsKey(identity.labels),
    identity.clientId,
    String(identity.timeNanos),
    identity.ordinal,
  ])
  const encoded = encoder.encode(text)
  const input = new Uint8Array(encoded.length + identity.contentDigest.length)
  input.set(identity.contentDigest)
  input.set(encoded, identity.contentDigest.length)
  return digest.digest128(input)
}

/** Id of a profile that came with neither id nor time: its segment and position. It is never a duplicate. */
export function positionalProfileId(digest: Digest, objectId: string, position: number): Uint8Array {
  return digest.digest128(encoder.encode(`${objectId}/${position}`))
}
