/**
 * gzip by Bun's libdeflate instead of node:zlib: level 1 has the size of zlib's level 3 in half the time (400 kB of a
 * flame graph in 3.4 ms instead of 7.1). For what we write alone: its inflating knows no bound. Without Bun nothing changes.
 */
import type { Codec } from '#core/ports/codec.ts'

const OPTIONS = { library: 'libdeflate', level: 1 } as const

export function nativeGzip(codec: Codec): Codec {
  if (globalThis.Bun === undefined) return codec
  return { ...codec, gzip: (bytes) => Bun.gzipSync(bytes as Uint8Array<ArrayBuffer>, OPTIONS) }
}
