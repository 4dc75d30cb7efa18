/**
 * Bodies that were compressed where they were made, in another thread: the bytes are known by themselves, so that nothing
 * between who made them and who sends them has to carry both. Forgotten with the bytes.
 */
const gzips = new WeakMap<Uint8Array, Uint8Array>()

/** `gzip` inflates to `bytes`, which nobody changes from here. */
export function notePacked(bytes: Uint8Array, gzip: Uint8Array): void {
  gzips.set(bytes, gzip)
}

export function packedOf(bytes: Uint8Array): Uint8Array | undefined {
  return gzips.get(bytes)
}
