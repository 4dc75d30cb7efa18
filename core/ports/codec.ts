/**
 * Compression, injected, because runtimes differ (Bun and Deno have zstd in node:zlib, Node 20 has none).
 * All calls are synchronous: an asynchronous call costs more than the 0.2 ms that a 26 KB profile takes.
 */
export interface Codec {
  /**
   * Inflates every member of a gzip stream. Fails with `invalid_argument`: reason `profile_size_limit` when the output
   * would pass `maxOutputBytes` (memory stays bounded by it), reason `malformed_profile` when the stream is broken.
   */
  gunzip(bytes: Uint8Array, maxOutputBytes: number): Uint8Array
  gzip(bytes: Uint8Array): Uint8Array
  /** Level 1: levels 3 and 9 save at most 3 % on our columns (measured on real profiles) and cost two to ten times. */
  zstdCompress(bytes: Uint8Array): Uint8Array
  /** `outputBytes` is the exact size that the section table states; anything else is `data_loss`. */
  zstdDecompress(bytes: Uint8Array, outputBytes: number): Uint8Array
}
