/**
 * Native gRPC spoken by an app that answers gRPC-Web: the two differ in where the status stands. A web app cannot send
 * HTTP trailers, so gRPC-Web puts them into a last frame of the body; gRPC has them after the body.
 *
 * 1. Of the request the content type changes; its frames stay as they are.
 * 2. Of the answer the frames with data go on as they are; the last frame becomes the trailers.
 * 3. An answer that is no gRPC-Web (a wrong path, a refused tenant) becomes the status that gRPC maps its HTTP status to,
 *    with the message of its JSON.
 * 4. `Retry-After` becomes the detail that gRPC has for it, `google.rpc.RetryInfo`: without, exporters of OpenTelemetry
 *    take an exhausted limit for final and drop what they have.
 *
 * Must not: look into a message.
 */

import { ProtobufWriter } from '#core/wire/protobuf.ts'

/** Headers that belong to one HTTP/2 connection or frame. */
const HOP_HEADERS = new Set([
  'te',
  'connection',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
  'host',
  'http2-settings',
])

const GRPC_TYPE = /^application\/grpc(?:\+(proto|json))?(?:;.*)?$/i
const TRAILER_FLAG = 0x80
/** One byte of flags, four of length. */
const FRAME_HEADER_BYTES = 5

export interface GrpcAnswer {
  readonly headers: Record<string, string>
  /** Frames with data. */
  readonly frames: Uint8Array
  readonly trailers: Record<string, string>
}

export function isGrpc(contentType: string): boolean {
  return GRPC_TYPE.test(contentType)
}

/** Headers of a request as fetch takes them; of gRPC with the content type of gRPC-Web. */
export function fetchHeaders(headers: Readonly<Record<string, string | string[] | undefined>>): Headers {
  const copied = new Headers()
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || name.startsWith(':') || HOP_HEADERS.has(name)) continue
    for (const one of Array.isArray(value) ? value : [value]) copied.append(name, one)
  }
  const type = GRPC_TYPE.exec(copied.get('content-type') ?? '')
  if (type !== null) copied.set('content-type', `application/grpc-web+${type[1] ?? 'proto'}`)
  return copied
}

const decoder = new TextDecoder()

/** The answer of the app to a request that came as gRPC, with the content type of that request. */
export function grpcAnswer(
  contentType: string,
  response: Pick<Response, 'status' | 'headers'>,
  body: Uint8Array,
): GrpcAnswer {
  const { status, headers } = response
  const type = headers.get('content-type') ?? ''
  if (status !== 200 || !type.startsWith('application/grpc-web')) return refusal(contentType, response, body)
  const answered: Record<string, string> = {}
  for (const [name, value] of headers) if (name !== 'content-length') answered[name] = value
  answered['content-type'] = contentType
  // Errors before the first message: the headers are all that there is.
  const trailers: Record<string, string> = {}
  for (const name of ['grpc-status', 'grpc-message', 'grpc-status-details-bin']) {
    const value = headers.get(name)
    if (value === null) continue
    trailers[name] = value
    delete answered[name]
  }
  const end = dataEnd(body)
  if (end < body.length) Object.assign(trailers, readTrailers(body.subarray(end + FRAME_HEADER_BYTES)))
  trailers['grpc-status'] ??= '2'
  addRetryInfo(trailers)
  return { headers: answered, frames: body.subarray(0, end), trailers }
}

/** Where the frame of trailers begins; the length of the body if there is none. */
function dataEnd(body: Uint8Array): number {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
  let at = 0
  while (at + FRAME_HEADER_BYTES <= body.length) {
    if ((body[at]! & TRAILER_FLAG) !== 0) return at
    at += FRAME_HEADER_BYTES + view.getUint32(at + 1)
  }
  return body.length
}

/** Lines of `name: value`. */
function readTrailers(block: Uint8Array): Record<string, string> {
  const trailers: Record<string, string> = {}
  for (const line of decoder.decode(block).split('\r\n')) {
    const colon = line.indexOf(':')
    if (colon > 0) trailers[line.slice(0, colon).trim().toLowerCase()] = line.slice(colon + 1).trim()
  }
  return trailers
}

/** gRPC's own table of HTTP statuses ("HTTP to gRPC status code mapping"), but 400, which here is always the client's. */
const CODE_BY_STATUS: Readonly<Record<number, number>> = {
  400: 3,
  401: 16,
  403: 7,
  404: 12,
  405: 12,
  413: 3,
  415: 3,
  429: 8,
  499: 1,
  502: 14,
  503: 14,
  504: 4,
}
const UNKNOWN = 2

function refusal(
  contentType: string,
  { status, headers }: Pick<Response, 'status' | 'headers'>,
  body: Uint8Array,
): GrpcAnswer {
  const trailers: Record<string, string> = {
    'grpc-status': String(CODE_BY_STATUS[status] ?? UNKNOWN),
    'grpc-message': encodeURIComponent(messageOf(status, body)).replaceAll('%20', ' '),
  }
  const retryAfter = headers.get('retry-after')
  if (retryAfter !== null) trailers['retry-after'] = retryAfter
  addRetryInfo(trailers)
  return { headers: { 'content-type': contentType }, frames: new Uint8Array(0), trailers }
}

/** An exhausted limit, and a server that is not there. */
const RETRYABLE = new Set(['8', '14'])
const RETRY_INFO_TYPE = 'type.googleapis.com/google.rpc.RetryInfo'

/** A `google.rpc.Status` with the time to wait, where trailers say one in whole seconds and have no details yet. */
function addRetryInfo(trailers: Record<string, string>): void {
  const retryAfter = trailers['retry-after'] ?? ''
  if (
    !RETRYABLE.has(trailers['grpc-status'] ?? '') ||
    !/^\d{1,9}$/.test(retryAfter) ||
    trailers['grpc-status-details-bin'] !== undefined
  )
    return
  const delay = new ProtobufWriter(16)
  delay.varintField(1, Number(retryAfter))
  const info = new ProtobufWriter(16)
  info.messageField(1, delay)
  const detail = new ProtobufWriter(64)
  detail.stringField(1, RETRY_INFO_TYPE)
  detail.bytesField(2, info.copyBytes())
  const status = new ProtobufWriter()
  status.varintField(1, Number(trailers['grpc-status']))
  status.stringField(2, decodedMessage(trailers['grpc-message'] ?? ''))
  status.messageField(3, detail)
  trailers['grpc-status-details-bin'] = Buffer.from(status.copyBytes()).toString('base64').replace(/=+$/, '')
}

function decodedMessage(message: string): string {
  try {
    return decodeURIComponent(message)
  } catch {
    return message
  }
}

function messageOf(status: number, body: Uint8Array): string {
  const text = decoder.decode(body)
  try {
    const { message } = JSON.parse(text) as { message?: unknown }
    if (typeof message === 'string') return message
  } catch {
    // A plain text.
  }
  return text.trim() === '' ? `HTTP status ${status}` : text.trim()
}
