/**
 * Compression by node:zlib (Bun, Deno and Node 22 have all of it).
 *
 * 1. gunzip inflates every member and stops at the first byte past its bound: a 4 GiB bomb of 1 MB costs 36 to 160 ms
 *    and 50 MiB of memory at a bound of 50 MiB (`Bun.gunzipSync` ignores the bound and drops all members but the first).
 * 2. gzip is level 3: on JSON of a flame graph the size of level 6 in half the time (3.8 against 7.4 ms for 0.9 MB).
 * 3. zstd is level 1, see the port.
 *
 * It must not be used for a body whose bound is unknown.
 */
import { constants, gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { CinderError, invalidArgument } from '#core/errors.ts'
import type { Codec } from '#core/ports/codec.ts'
import { KIB, MIB } from '#core/units.ts'

const GZIP_LEVEL = 3
/** The default of zlib. */
const CHUNK_BYTES_MIN = 16 * KIB
/** The default limit of a profile. */
const CHUNK_BYTES_MAX = 4 * MIB
/** Deflate makes no more of a byte. */
const DEFLATE_RATIO_MAX = 1032
const ZSTD_OPTIONS = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }

export function createCodec(): Codec {
  return {
    gunzip(bytes, maxOutputBytes) {
      try {
        const maxOutputLength = Math.max(1, maxOutputBytes)
        return viewBytes(gunzipSync(bytes, { maxOutputLength, chunkSize: chunkSizeOf(bytes, maxOutputLength) }))
      } catch (error) {
        if (codeOf(error) === 'ERR_BUFFER_TOO_LARGE') {
          throw invalidArgument(
            `profile size limit exceeded: ${bytes.length} compressed bytes inflate to more than the allowed ${maxOutputBytes} bytes`,
            'profile_size_limit',
          )
        }
        throw new CinderError(
          'invalid_argument',
          `gzip stream of ${bytes.length} bytes is broken: ${messageOf(error)}`,
          {
            reason: 'malformed_profile',
            cause: error,
          },
        )
      }
    },
    gzip: (bytes) => viewBytes(gzipSync(bytes, { level: GZIP_LEVEL })),
    zstdCompress: (bytes) => viewBytes(zstdCompressSync(bytes, ZSTD_OPTIONS)),
    zstdDecompress(bytes, outputBytes) {
      let output: Uint8Array
      try {
        // zlib refuses a bound of 0.
        output = viewBytes(zstdDecompressSync(bytes, { maxOutputLength: Math.max(1, outputBytes) }))
      } catch (error) {
        throw new CinderError(
          'data_loss',
          `zstd frame of ${bytes.length} bytes does not inflate to ${outputBytes} bytes: ${messageOf(error)}`,
          { cause: error },
        )
      }
      if (output.length !== outputBytes) {
        throw new CinderError('data_loss', `zstd frame holds ${output.length} bytes, its section says ${outputBytes}`)
      }
      return output
    },
  }
}

/** One buffer for all of what a stream says that it inflates to, which halves the time; it may lie, so within a bound. */
function chunkSizeOf(bytes: Uint8Array, maxOutputBytes: number): number {
  if (bytes.length < CHUNK_BYTES_MIN / DEFLATE_RATIO_MAX) return CHUNK_BYTES_MIN
  const end = bytes.length
  const statedBytes = bytes[end - 4]! + bytes[end - 3]! * 2 ** 8 + bytes[end - 2]! * 2 ** 16 + bytes[end - 1]! * 2 ** 24
  const boundBytes = Math.min(CHUNK_BYTES_MAX, maxOutputBytes, end * DEFLATE_RATIO_MAX)
  // One more, or a second buffer is made to see that there is nothing more.
  return Math.max(CHUNK_BYTES_MIN, Math.min(statedBytes, boundBytes) + 1)
}

/** A plain Uint8Array over the Buffer's bytes: Buffer.slice shares memory where Uint8Array.slice copies. */
function viewBytes(buffer: Uint8Array): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | undefined)?.code
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
