/**
 * gzip of request and response bodies, chosen per runtime: node:zlib behind the Codec port (Bun), or the web streams
 * that Cloudflare workers have. Inflating is bounded by the output, so that a small bomb cannot fill the memory.
 *
 * The web stream refuses a gzip body of several members (the standard says so); the codec takes them. No agent sends one.
 */
import { CinderError, invalidArgument } from '#core/errors.ts'
import type { Codec } from '#core/ports/codec.ts'
import { type BodyRead, readStream } from './body.ts'

export interface BodyCompression {
  /** Fails with `invalid_argument`: reason `body_size_limit` past the bound, `malformed_body` for a broken stream. */
  gunzip(bytes: Uint8Array, maxOutputBytes: number): Promise<Uint8Array>
  gzip(bytes: Uint8Array): Promise<Uint8Array>
}

/** Below this a response is sent plain: a gzip header and trailer are 18 bytes, and one packet carries either. */
const COMPRESS_MIN_BYTES = 1024

/** Reason of an error about a body over its bound. */
export const BODY_SIZE_LIMIT = 'body_size_limit'

export const SUPPORTED_ENCODINGS = 'gzip, identity'

export function codecCompression(codec: Codec): BodyCompression {
  return {
    async gunzip(bytes, maxOutputBytes) {
      try {
        return codec.gunzip(bytes, maxOutputBytes)
      } catch (error) {
        if (error instanceof CinderError && error.reason === 'profile_size_limit') throw bodyTooLarge(maxOutputBytes)
        throw malformedGzip(bytes, error)
      }
    },
    gzip: async (bytes) => codec.gzip(bytes),
  }
}

export const webCompression: BodyCompression = {
  async gunzip(bytes, maxOutputBytes) {
    let read: BodyRead
    try {
      read = await readStream(pipeBytes(bytes, new DecompressionStream('gzip')), maxOutputBytes)
    } catch (error) {
      throw malformedGzip(bytes, error)
    }
    if (read.kind === 'bytes') return read.bytes
    if (read.kind === 'too-large') throw bodyTooLarge(maxOutputBytes)
    throw malformedGzip(bytes, read.kind === 'broken' ? read.cause : read.error)
  },
  async gzip(bytes) {
    return new Uint8Array(await new Response(pipeBytes(bytes, new CompressionStream('gzip'))).arrayBuffer())
  },
}

/** True if a response may be gzip: named with a weight above 0, or unnamed after a gzip request (Connect's rule). */
export function acceptsGzip(headers: Headers, sizeBytes: number): boolean {
  if (sizeBytes < COMPRESS_MIN_BYTES) return false
  const accepted = headers.get('accept-encoding')
  if (accepted === null || accepted === '') return headers.get('content-encoding') === 'gzip'
  return accepted.split(',').some((entry) => {
    const [name, ...parameters] = entry.split(';').map((part) => part.trim().toLowerCase())
    return name === 'gzip' && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))
  })
}

function pipeBytes(
  bytes: Uint8Array,
  transform: ReadableWritablePair<Uint8Array, BufferSource>,
): ReadableStream<Uint8Array> {
  return new Blob([bytes as Uint8Array<ArrayBuffer>]).stream().pipeThrough(transform)
}

/** `sizeBytes` is what was stated or seen; `advice` says where a larger body may go. */
export function bodyTooLarge(limitBytes: number, details: { sizeBytes?: number; advice?: string } = {}): CinderError {
  const size = details.sizeBytes === undefined ? '' : ` of ${details.sizeBytes} bytes`
  const advice = details.advice === undefined ? '' : `; ${details.advice}`
  return invalidArgument(`request body${size} is larger than the allowed ${limitBytes} bytes${advice}`, BODY_SIZE_LIMIT)
}

function malformedGzip(bytes: Uint8Array, cause: unknown): CinderError {
  return new CinderError('invalid_argument', `request body of ${bytes.length} bytes is not valid gzip`, {
    reason: 'malformed_body',
    cause,
  })
}
