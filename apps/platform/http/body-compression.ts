/**
 * Compression of request and response bodies, chosen per runtime: node:zlib behind the Codec port (Bun), or the web streams
 * that Cloudflare workers have. Inflating is bounded by the output, so that a small bomb cannot fill the memory.
 *
 * Requests may also be deflate (with zlib's header, as HTTP has it), and zstd where the runtime knows it.
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
  /** As `gunzip`; absent where the runtime cannot. */
  readonly inflate?: InflateBody
  readonly unzstd?: InflateBody
  /** Of answers of gRPC; where `unzstd` is. */
  readonly zstd?: (bytes: Uint8Array) => Promise<Uint8Array>
}

export type InflateBody = (bytes: Uint8Array, maxOutputBytes: number) => Promise<Uint8Array>

/**
 * The coding of a request's body, `identity` if none is named. Case does not matter and `x-gzip` is gzip (RFC 9110,
 * 8.4.1); the peers ignore the header at `/ingest`, so what is refused there is lost to an agent that they take.
 */
export function contentCodingOf(headers: Headers): string {
  const coding = (headers.get('content-encoding') ?? '').trim().toLowerCase()
  if (coding === '') return 'identity'
  return coding === 'x-gzip' ? 'gzip' : coding
}

/** Undefined for an encoding that is not accepted; `identity` is the caller's. */
export function inflaterOf(encoding: string, compression: BodyCompression): InflateBody | undefined {
  if (encoding === 'gzip') return (bytes, maxOutputBytes) => compression.gunzip(bytes, maxOutputBytes)
  if (encoding === 'deflate') return compression.inflate
  return encoding === 'zstd' ? compression.unzstd : undefined
}

export function supportedEncodings({ inflate, unzstd }: BodyCompression): string {
  return ['gzip', ...(inflate ? ['deflate'] : []), ...(unzstd ? ['zstd'] : []), 'identity'].join(', ')
}

/** Below this a response is sent plain: a gzip header and trailer are 18 bytes, and one packet carries either. */
export const COMPRESS_MIN_BYTES = 1024

/** Reason of an error about a body over its bound. */
export const BODY_SIZE_LIMIT = 'body_size_limit'

export function codecCompression(codec: Codec): BodyCompression {
  return {
    async gunzip(bytes, maxOutputBytes) {
      try {
        return codec.gunzip(bytes, maxOutputBytes)
      } catch (error) {
        if (error instanceof CinderError && error.reason === 'profile_size_limit') throw bodyTooLarge(maxOutputBytes)
        throw malformedBody(bytes, 'gzip', error)
      }
    },
    gzip: async (bytes) => codec.gzip(bytes),
  }
}

export const webCompression: BodyCompression = {
  gunzip: (bytes, maxOutputBytes) => inflateStream(bytes, maxOutputBytes, 'gzip'),
  inflate: (bytes, maxOutputBytes) => inflateStream(bytes, maxOutputBytes, 'deflate'),
  async gzip(bytes) {
    return new Uint8Array(await new Response(pipeBytes(bytes, new CompressionStream('gzip'))).arrayBuffer())
  },
}

async function inflateStream(
  bytes: Uint8Array,
  maxOutputBytes: number,
  format: 'gzip' | 'deflate',
): Promise<Uint8Array> {
  let read: BodyRead
  try {
    read = await readStream(pipeBytes(bytes, new DecompressionStream(format)), maxOutputBytes)
  } catch (error) {
    throw malformedBody(bytes, format, error)
  }
  if (read.kind === 'bytes') return read.bytes
  if (read.kind === 'too-large') throw bodyTooLarge(maxOutputBytes)
  throw malformedBody(bytes, format, read.kind === 'broken' ? read.cause : read.error)
}

/** True if a response may be gzip: named with a weight above 0, or unnamed after a gzip request (Connect's rule). */
export function acceptsGzip(headers: Headers, sizeBytes: number): boolean {
  if (sizeBytes < COMPRESS_MIN_BYTES) return false
  const accepted = headers.get('accept-encoding')
  if (accepted === null || accepted === '') return contentCodingOf(headers) === 'gzip'
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

export function malformedBody(bytes: Uint8Array, format: string, cause: unknown): CinderError {
  return new CinderError('invalid_argument', `request body of ${bytes.length} bytes is not valid ${format}`, {
    reason: 'malformed_body',
    cause,
  })
}
