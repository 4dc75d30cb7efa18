/** A 128-bit digest of bytes, 16 bytes. Equal bytes have equal digests on every writer of one deployment. */
export interface Digest {
  digest128(bytes: Uint8Array): Uint8Array
}
