/**
 * Request bodies with a bound.
 *
 * 1. A stated length past the bound is refused before a byte is read.
 * 2. A stated length within it is read in one piece: the server behind us enforces Content-Length.
 * 3. Otherwise chunks are counted as they come, and reading stops at the bound.
 *
 * It must not hold more than one body per request, nor read past the bound. What is used up is freed at once where that
 * is safe: garbage collectors let tens of megabytes of buffers lie, of the 128 that an edge process has.
 */
import { CinderError } from '#core/errors.ts'
import { MIB } from '#core/units.ts'
import { type BodyLease, leaseOf } from './body-budget.ts'

export type BodyRead =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  /** `sizeBytes` is what was stated or seen before reading stopped. */
  | { readonly kind: 'too-large'; readonly sizeBytes: number }
  /** The client left, or the connection broke. */
  | { readonly kind: 'broken'; readonly cause: unknown }
  /** The budget of all bodies together is spent (body-budget.ts). */
  | { readonly kind: 'busy'; readonly error: CinderError }

/** 1 GiB, where the limit is switched off: what one buffer holds on every runtime. */
const BODY_MAX_BYTES = 1024 * MIB

/** The bound of a body for a limit of which 0 means off. */
export function bodyLimitOf(limitBytes: number): number {
  return limitBytes > 0 ? Math.min(limitBytes, BODY_MAX_BYTES) : BODY_MAX_BYTES
}

const EMPTY = new Uint8Array(0)

export type ReadBody = (request: Request, limitBytes: number) => Promise<BodyRead>

/** The way of workers and Bun: a stated length is read by the runtime (0.4 ms of CPU a megabyte on a worker). */
export const readBody: ReadBody = (request, limitBytes) => readBounded(request, limitBytes, readWhole)

/**
 * The way of Deno, whose `arrayBuffer()` holds 4 MB for a body of 1 MB: chunks go where they belong as they come. On a
 * worker, where chunks have 4 KiB, this takes ten times the CPU.
 */
export const readBodyInPlace: ReadBody = (request, limitBytes) => readBounded(request, limitBytes, readInPlace)

/** Reads exactly `sizeBytes`, or fails. */
type ReadStated = (request: Request, sizeBytes: number) => Promise<Uint8Array>

async function readBounded(request: Request, limitBytes: number, readStated: ReadStated): Promise<BodyRead> {
  const stated = request.headers.get('content-length')
  const statedBytes = stated === null ? undefined : Number(stated)
  if (statedBytes !== undefined && statedBytes > limitBytes) {
    return { kind: 'too-large', sizeBytes: statedBytes }
  }
  // A body is looked at only where its length does not say that there is one: on Bun that makes a stream.
  if (statedBytes === 0 || (statedBytes === undefined && request.body === null)) return { kind: 'bytes', bytes: EMPTY }
  const lease = leaseOf(request)
  try {
    if (statedBytes !== undefined) {
      if (lease?.take(statedBytes) === false) return { kind: 'busy', error: lease.budget.busy() }
      const bytes = await readStated(request, statedBytes)
      return bytes.length > limitBytes ? { kind: 'too-large', sizeBytes: bytes.length } : { kind: 'bytes', bytes }
    }
    return await readStream(request.body!, limitBytes, lease)
  } catch (cause) {
    return { kind: 'broken', cause }
  }
}

async function readWhole(request: Request): Promise<Uint8Array> {
  return new Uint8Array(await request.arrayBuffer())
}

/** What is stated need not come: room is made as bytes arrive. */
const FIRST_ROOM_BYTES = 256 * 1024

async function readInPlace(request: Request, sizeBytes: number): Promise<Uint8Array> {
  if (request.body === null) return EMPTY
  const reader = request.body.getReader()
  let buffer = new ArrayBuffer(Math.min(sizeBytes, FIRST_ROOM_BYTES))
  let at = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    const end = at + value.length
    if (end > sizeBytes) throw new CinderError('invalid_argument', `the body is longer than ${sizeBytes} bytes`)
    if (end > buffer.byteLength) buffer = buffer.transfer(Math.min(sizeBytes, Math.max(end, buffer.byteLength * 2)))
    new Uint8Array(buffer).set(value, at)
    freeBytes(value)
    at = end
  }
  if (at < sizeBytes) throw new CinderError('invalid_argument', `the body ended after ${at} of ${sizeBytes} bytes`)
  return new Uint8Array(buffer)
}

/**
 * Gives the memory of bytes back at once if they are the whole of their buffer; afterwards they are empty, as is every
 * view of them. For bytes that nobody else can have.
 */
export function freeBytes(bytes: Uint8Array): void {
  const buffer = bytes.buffer as ArrayBuffer
  if (bytes.length === 0 || bytes.length !== buffer.byteLength) return
  try {
    buffer.transfer(0)
  } catch {
    // A buffer that the runtime still reads, or that cannot move: the collector frees it.
  }
}

/** Reads a stream to its end, or cancels it once it has given more than `limitBytes`, or than the budget has left. */
export async function readStream(
  stream: ReadableStream<Uint8Array>,
  limitBytes: number,
  lease?: BodyLease,
): Promise<BodyRead> {
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
    if (lease?.take(value.length) === false) {
      await reader.cancel()
      return { kind: 'busy', error: lease.budget.busy() }
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
    freeBytes(chunk)
  }
  return bytes
}
