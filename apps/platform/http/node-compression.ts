/**
 * What node:zlib adds to the compression of bodies: deflate and zstd of requests, bounded by their output as gzip is. For
 * processes; workers have web streams (body-compression.ts).
 */
import { inflateSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import type { Codec } from '#core/ports/codec.ts'
import {
  type BodyCompression,
  bodyTooLarge,
  codecCompression,
  type InflateBody,
  malformedBody,
} from './body-compression.ts'

export function nodeCompression(codec: Codec): BodyCompression {
  return {
    ...codecCompression(codec),
    inflate: bounded('deflate', (bytes, maxOutputLength) => inflateSync(bytes, { maxOutputLength })),
    unzstd: bounded('zstd', (bytes, maxOutputLength) => zstdDecompressSync(bytes, { maxOutputLength })),
    zstd: async (bytes) => new Uint8Array(zstdCompressSync(bytes)),
  }
}

function bounded(format: string, inflate: (bytes: Uint8Array, maxOutputLength: number) => Uint8Array): InflateBody {
  return async (bytes, maxOutputBytes) => {
    try {
      const output = inflate(bytes, Math.max(1, maxOutputBytes))
      return new Uint8Array(output.buffer, output.byteOffset, output.length)
    } catch (error) {
      const isTooLarge = error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE'
      throw isTooLarge ? bodyTooLarge(maxOutputBytes) : malformedBody(bytes, format, error)
    }
  }
}
