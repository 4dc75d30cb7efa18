/**
 * Request bodies with a bound.
 *
 * 1. A stated length past the bound is refused before a byte is read.
 * 2. A stated length within it is read in one piece: the server behind us enforces Content-Length.
 * 3. Otherwise chunks are counted as they come, and reading stops at the bound.
 *
 * It must not hold more than one body per request, nor read past the bound.
 */
import { MIB } from '#core/units.ts'

export type BodyRead =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  /** `sizeBytes` is what was stated or seen before reading stopped. */
  | { readonly kind: 'too-large'; readonly sizeBytes: number }
  /** The client left, or the connection broke. */
  | { readonly kind: 'broken'; readonly cause: unknown }

/** 1 GiB, where the limit is switched off: what one buffer holds on every runtime. */
const BODY_MAX_BYTES = 1024 * MIB

/** The bound of a body for a limit of which 0 means off. */
export function bodyLimitOf(limitBytes: number): number {
  return limitBytes > 0 ? Math.min(limitBytes, BODY_MAX_BYTES) : BODY_MAX_BYTES
}

const EMPTY = new Uint8Array(0)

export async function readBody(request: Request, limitBytes: number): Promise<BodyRead> {
  const stated = request.headers.get('content-length')
  const statedBytes = stated === null ? undefined : Number(stated)
  if (statedBytes !== undefined && statedBytes > limitBytes) {
    return { kind: 'too-large', sizeBytes: statedBytes }
  }
  if (request.body === null) return { kind: 'bytes', bytes: EMPTY }
  try {
    if (statedBytes !== undefined) {
      const bytes = new Uint8Array(await request.arrayBuffer())
      return bytes.length > limitBytes ? { kind: 'too-large', sizeBytes: bytes.length } : { kind: 'bytes', bytes }
    }
    return await readStream(request.body, limitBytes)
  } catch (cause) {
    return { kind: 'broken', cause }
  }
}

/** Reads a stream to its end, or cancels it once it has given more than `limitBytes`. */
export async function readStream(stream: ReadableStream<Uint8Array>, limitBytes: number): Promise<BodyRead> {
  const reader = stream.getReader()
  const chunks: Uint8Array[] = []
  let sizeBytes = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    sizeBytes += value.length
    if (sizeBytes > limitBytes) {
      await reader.cancel()
      return { kind: 'too-large', sizeBytes }
    }
    chunks.push(value)
  }
  return { kind: 'bytes', bytes: concatBytes(chunks, sizeBytes) }
}

function concatBytes(chunks: readonly Uint8Array[], sizeBytes: number): Uint8Array {
  if (chunks.length === 1) return chunks[0]!
  const bytes = new Uint8Array(sizeBytes)
  let offset = 0
  for (const chunk of chunks) {
    bytes.set(chunk, offset)
    offset += chunk.length
  }
  return bytes
}
