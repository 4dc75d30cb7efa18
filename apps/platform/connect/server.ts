/**
 * Serves a Connect service on Hono, by fetch alone: unary Connect (proto and JSON) and gRPC-Web over HTTP/1.1.
 *
 * 1. Method and content type: 405 and 415 without reading anything.
 * 2. Protocol version, content encoding, then the body, bounded before and after inflating.
 * 3. The message is parsed; then the tenant is checked: what cannot be read is 400 whoever sent it, as with the peers.
 *    Of a client without a valid tenant only a small body is looked at.
 *    The implementation is called and its answer serialised (unary-call.ts; with a deadline, by Connect's own handler).
 * 4. What failed before the implementation ran is the client's fault: over unary Connect 400, never 500 or 429, because agents
 *    retry those. gRPC-Web, as gRPC, says INTERNAL (13) of bytes that are no message: that is what gRPC libraries say, and
 *    its clients do not retry it.
 * 5. The answer is gzip if the client takes it. A stream of answers goes out part by part, as it is.
 *
 * It must not show the text of an error that is not ours, and must not copy a body that is not compressed.
 */
import type { DescMethodUnary, DescService, JsonValue } from '@bufbuild/protobuf'
import {
  ConnectError,
  createConnectRouter,
  createContextKey,
  createContextValues,
  type ContextValues,
  type Interceptor,
  type ServiceImpl,
} from '@connectrpc/connect'
import {
  type Compression,
  type UniversalHandler,
  universalServerRequestFromFetch,
  universalServerResponseToFetch,
} from '@connectrpc/connect/protocol'
import type { Hono } from 'hono'
import { CinderError, invalidArgument } from '#core/errors.ts'
import type { Log } from '#core/ports/log.ts'
import { freeBytes, type ReadBody, readBody } from '../http/body.ts'
import {
  contentCodingOf,
  acceptsGzip,
  BODY_SIZE_LIMIT,
  type BodyCompression,
  bodyTooLarge,
  COMPRESS_MIN_BYTES,
  type InflateBody,
  inflaterOf,
  supportedEncodings,
} from '../http/body-compression.ts'
import { errorResponse, toCinderError } from '../http/errors.ts'
import { packedOf } from '../http/packed-bytes.ts'
import { toConnectError } from './errors.ts'
import { withoutLongTimeout } from './long-timeouts.ts'
import { callUnary, type UnaryAnswer, type UnaryImplementation, type UnaryMethod } from './unary-call.ts'

export interface ConnectServerOptions {
  readonly bodyLimitBytes: number
  /** Added to the refusal of a body over the limit: where it may go instead. */
  readonly bodyLimitAdvice?: string
  readonly compression: BodyCompression
  /** Default: that of workers and Bun. */
  readonly readBody?: ReadBody | undefined
  /** Gives the memory of a body back with its answer. Only where the implementation keeps nothing of a request. */
  readonly freesBodies?: boolean
  readonly log: Log
  /** Its result is what `tenantsOf` gives the implementation; its error is answered once the message is known to be one. */
  readonly authenticate?: (headers: Headers) => readonly string[]
  /** Looks at each message before anything is made of it; what it throws is the answer. */
  readonly checkMessage?: (bytes: Uint8Array, isJson: boolean) => void
  /** Adds reason and outcome to errors: for services that only we call. */
  readonly errorDetails?: boolean
}

const tenantsKey = createContextKey<readonly string[]>([], { description: 'tenants' })
const refusalKey = createContextKey<Error | undefined>(undefined, { description: 'refusal' })
const invocationKey = createContextKey<{ started: boolean } | undefined>(undefined, { description: 'invocation' })

/** What goes out instead of the answer, as it is: JSON text, or the message. */
interface Replacement {
  readonly isJson: boolean
  readonly takesGzip: boolean
  bytes: Uint8Array | undefined
  isGzip: boolean
}
const replacementKey = createContextKey<Replacement | undefined>(undefined, { description: 'replacement' })

/** Takes JSON text that goes out as it is, where the answer of a call does; undefined where it goes out in another way. */
export function answerTextOf(context: { readonly values: ContextValues }): ((text: Uint8Array) => void) | undefined {
  const replacement = context.values.get(replacementKey)
  if (replacement === undefined || !replacement.isJson) return undefined
  return (text) => {
    replacement.bytes = text
  }
}

/** The bytes of an answer may go out compressed, if they are worth it. */
export function takesGzip(context: { readonly values: ContextValues }): boolean {
  return context.values.get(replacementKey)?.takesGzip === true
}

/** Takes the bytes of the whole answer, a message or its JSON text, in place of what the implementation returns. */
export interface AnswerBytes {
  /** gzip may be given, of what is worth it. */
  readonly takesGzip: boolean
  give(bytes: Uint8Array, isGzip?: boolean): void
}

/** Where the answer goes out as a message of Connect; undefined where it goes out in another way. */
export function answerBytesOf(context: { readonly values: ContextValues }): AnswerBytes | undefined {
  const replacement = context.values.get(replacementKey)
  if (replacement === undefined || replacement.isJson) return undefined
  return {
    takesGzip: replacement.takesGzip,
    give(bytes, isGzip = false) {
      replacement.bytes = bytes
      replacement.isGzip = isGzip
    },
  }
}

/** Tenants that `authenticate` found. */
export function tenantsOf(context: { readonly values: ContextValues }): readonly string[] {
  return context.values.get(tenantsKey)
}

/** 1 MiB: every query, and a small push. A larger body of somebody without a tenant is not worth its memory. */
const REFUSED_BODY_MAX_BYTES = 1024 * 1024

/** Of gRPC-Web: one byte of flags, four of length. */
const FRAME_HEADER_BYTES = 5
const COMPRESSED_FLAG = 1

const JSON_TYPE = /json/i
const CONNECT_TYPE = /^application\/(?:json(?:; ?charset=utf-?8)?|proto)$/i
const GRPC_WEB_TYPE = /^application\/grpc-web(?:\+(?:json(?:; ?charset=utf-?8)?|proto))?$/i
const ACCEPT_POST =
  'application/grpc-web, application/grpc-web+json, application/grpc-web+json; charset=utf-8, ' +
  'application/grpc-web+proto, application/json, application/json; charset=utf-8, application/proto'

export function mountService<Service extends DescService>(
  app: Hono,
  service: Service,
  implementation: Partial<ServiceImpl<Service>>,
  options: ConnectServerOptions,
): void {
  // Compressions do not hear what they inflate: each kind of message has its own.
  const handlersOf = (isJson: boolean) =>
    createConnectRouter({
      grpc: false,
      acceptCompression: messageCompressions(options, isJson),
      interceptors: [guardInvocation(options)],
      readMaxBytes: options.bodyLimitBytes,
    }).service(service, implementation).handlers
  const ofJson = handlersOf(true)
  for (const [i, ofProto] of handlersOf(false).entries()) {
    const { requestPath } = ofProto
    const route: Route = { ofProto, ofJson: ofJson[i]!, unary: unaryOf(ofProto, implementation, options) }
    app.all(requestPath, async (context) => {
      try {
        return await handle(route, context.req.raw, options)
      } catch (error) {
        return errorResponse(toCinderError(error, options.log, requestPath))
      }
    })
  }
}

interface Route {
  readonly ofProto: UniversalHandler
  readonly ofJson: UniversalHandler
  /** Absent: a stream, or nothing is behind it. */
  readonly unary: UnaryMethod | undefined
}

function unaryOf(
  { method, service }: Pick<UniversalHandler, 'method' | 'service'>,
  implementation: object,
  options: ConnectServerOptions,
): UnaryMethod | undefined {
  if (method.methodKind !== 'unary') return undefined
  const run = (implementation as Record<string, UnaryImplementation | undefined>)[method.localName]
  if (run === undefined) return undefined
  const where = `${service.typeName}/${method.name}`
  return {
    method: method as DescMethodUnary,
    run: run.bind(implementation),
    mapped: (error) => mappedError(error, options, where),
  }
}

async function handle(route: Route, request: Request, options: ConnectServerOptions): Promise<Response> {
  if (request.method !== 'POST') return new Response(null, { status: 405, headers: { Allow: 'POST' } })
  const contentType = request.headers.get('content-type') ?? ''
  const isJson = JSON_TYPE.test(contentType)
  const handler = isJson ? route.ofJson : route.ofProto
  if (handler.method.methodKind === 'server_streaming') return handleStream(handler, request, options)
  const isConnect = CONNECT_TYPE.test(contentType)
  if (!isConnect && !GRPC_WEB_TYPE.test(contentType)) {
    return new Response(null, { status: 415, headers: { 'Accept-Post': ACCEPT_POST } })
  }
  const values = createContextValues()
  admit(request.headers, options, values)
  if (!isConnect) {
    const frames = await readMessage(request, options, values.get(refusalKey))
    checkFrames(frames, options, isJson)
    const body = oneChunk(frames)
    const { url, headers, signal } = request
    const header = withoutLongTimeout(headers)
    const universal = { httpVersion: '1.1', method: 'POST', url, header, body, signal, contextValues: values }
    return universalServerResponseToFetch(await handler(universal))
  }
  return handleConnect({ handler, unary: route.unary, isJson }, request, options, values)
}

/** Of the messages of gRPC and gRPC-Web, which say one by one whether they are compressed. */
function messageCompressions({ compression, checkMessage }: ConnectServerOptions, isJson: boolean): Compression[] {
  const { zstd } = compression
  const checked = (inflate: InflateBody): InflateBody => {
    if (checkMessage === undefined) return inflate
    return async (bytes, limitBytes) => {
      const message = await inflate(bytes, limitBytes)
      checkMessage(message, isJson)
      return message
    }
  }
  const gunzip = checked(compression.gunzip)
  const unzstd = compression.unzstd && checked(compression.unzstd)
  const ofGzip = messageCompression('gzip', compression.gzip, gunzip)
  return zstd === undefined || unzstd === undefined ? [ofGzip] : [ofGzip, messageCompression('zstd', zstd, unzstd)]
}

function messageCompression(name: string, compress: BodyCompression['gzip'], inflate: InflateBody): Compression {
  return {
    name,
    compress: (bytes) => compress(bytes) as Promise<Uint8Array<ArrayBuffer>>,
    async decompress(bytes, readMaxBytes) {
      try {
        return (await inflate(bytes, readMaxBytes)) as Uint8Array<ArrayBuffer>
      } catch (error) {
        // Outside of the implementation nothing else maps it.
        throw error instanceof CinderError ? toConnectError(error, { details: false }) : error
      }
    },
  }
}

/** The messages of a body of gRPC-Web; one that is compressed is looked at when it is inflated. */
function checkFrames(body: Uint8Array, { checkMessage }: ConnectServerOptions, isJson: boolean): void {
  if (checkMessage === undefined) return
  const view = new DataView(body.buffer, body.byteOffset, body.length)
  for (let at = 0; at + FRAME_HEADER_BYTES <= body.length; ) {
    const start = at + FRAME_HEADER_BYTES
    const end = start + view.getUint32(at + 1)
    if ((body[at]! & COMPRESSED_FLAG) === 0) checkMessage(body.subarray(start, end), isJson)
    at = end
  }
}

async function* oneChunk(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

/** The interceptor throws what is wrong with the tenant. */
function admit(headers: Headers, options: ConnectServerOptions, values: ContextValues): void {
  try {
    if (options.authenticate !== undefined) values.set(tenantsKey, options.authenticate(headers))
  } catch (error) {
    values.set(refusalKey, error instanceof Error ? error : new Error(String(error)))
  }
}

/** Between our own services only: nothing is compressed, and an error after the first part ends the stream by name. */
async function handleStream(
  handler: UniversalHandler,
  request: Request,
  options: ConnectServerOptions,
): Promise<Response> {
  const values = createContextValues()
  if (options.authenticate !== undefined) values.set(tenantsKey, options.authenticate(request.headers))
  const universal = universalServerRequestFromFetch(request, { httpVersion: '1.1' })
  return universalServerResponseToFetch(await handler({ ...universal, contextValues: values }))
}

interface ConnectCall {
  readonly handler: UniversalHandler
  readonly unary: UnaryMethod | undefined
  readonly isJson: boolean
}

async function handleConnect(
  call: ConnectCall,
  request: Request,
  options: ConnectServerOptions,
  values: ContextValues,
): Promise<Response> {
  const { headers: asked } = request
  checkProtocolVersion(asked)
  const refusal = values.get(refusalKey)
  const body = await readMessage(request, options, refusal)
  const { unary, isJson } = call
  options.checkMessage?.(body, isJson)
  const takesGzip = acceptsGzip(asked, COMPRESS_MIN_BYTES)
  const replacement: Replacement = { isJson, takesGzip, bytes: undefined, isGzip: false }
  values.set(replacementKey, replacement)
  const answer =
    unary === undefined || asked.has('connect-timeout-ms')
      ? await callHandler(call, { request, body, values, replacement })
      : await callUnary(unary, {
          request,
          bytes: body,
          isJson,
          values,
          refusal,
          replacement: () => replacement.bytes,
        })
  if (options.freesBodies === true) freeBytes(body)
  if (answer.kind === 'unreadable') return errorResponse(unreadable(answer.message))
  const { bytes, status, headers } = answer
  const isGzip = status === 200 && replacement.isGzip
  if (!isGzip && (!takesGzip || bytes.length < COMPRESS_MIN_BYTES)) return toResponse(bytes, status, headers)
  headers.delete('content-length')
  headers.set('Content-Encoding', 'gzip')
  headers.set('Vary', 'Accept-Encoding')
  const packed = isGzip ? bytes : packedOf(bytes)
  return toResponse(packed ?? (await options.compression.gzip(bytes)), status, headers)
}

interface HandlerCall {
  readonly request: Request
  readonly body: Uint8Array
  readonly values: ContextValues
  readonly replacement: Replacement
}

/** By Connect's own handler, which knows deadlines. */
async function callHandler(
  { handler }: ConnectCall,
  { request, body, values, replacement }: HandlerCall,
): Promise<UnaryAnswer> {
  const invocation = { started: false }
  values.set(invocationKey, invocation)
  const answer = await handler({
    httpVersion: '1.1',
    method: 'POST',
    url: request.url,
    header: withoutLongTimeout(withoutEncoding(request.headers)),
    // A byte array instead of a stream is parsed as it is, without a copy; the type only knows parsed JSON.
    body: body as unknown as JsonValue,
    signal: request.signal,
    contextValues: values,
  })
  const { status } = answer
  const replaced = status === 200 ? replacement.bytes : undefined
  const bytes = replaced ?? (await firstChunk(answer.body))
  if (status !== 200 && !invocation.started) return { kind: 'unreadable', message: messageOf(bytes) }
  const headers = new Headers(answer.header)
  headers.set('Content-Length', String(bytes.length))
  return { kind: 'answer', status, headers, bytes }
}

function toResponse(bytes: Uint8Array, status: number, headers: Headers): Response {
  // A worker compresses a body whose headers say gzip, unless it is told that this was done; others do not know the word.
  const init: ResponseInit & { readonly encodeBody: 'manual' } = { status, headers, encodeBody: 'manual' }
  return new Response(bytes as Uint8Array<ArrayBuffer>, init)
}

function checkProtocolVersion(headers: Headers): void {
  const version = headers.get('connect-protocol-version')
  if (version !== null && version !== '1') {
    throw invalidArgument(`Connect-Protocol-Version must be "1": got "${version}"`)
  }
}

async function readMessage(
  request: Request,
  options: ConnectServerOptions,
  refusal: Error | undefined,
): Promise<Uint8Array> {
  const encoding = contentCodingOf(request.headers)
  const inflate = inflaterOf(encoding, options.compression)
  if (encoding !== 'identity' && inflate === undefined) {
    const supported = supportedEncodings(options.compression)
    throw new CinderError('unimplemented', `unknown compression "${encoding}": supported encodings are ${supported}`)
  }
  const { bodyLimitBytes } = options
  const limitBytes = refusal === undefined ? bodyLimitBytes : Math.min(bodyLimitBytes, REFUSED_BODY_MAX_BYTES)
  const read = await (options.readBody ?? readBody)(request, limitBytes)
  if (read.kind !== 'bytes' && refusal !== undefined) throw refusal
  if (read.kind === 'too-large') throw tooLarge(options, read.sizeBytes)
  if (read.kind === 'busy') throw read.error
  if (read.kind === 'broken') throw new CinderError('canceled', 'the request body ended early', { cause: read.cause })
  if (inflate === undefined) return read.bytes
  try {
    return await inflate(read.bytes, limitBytes)
  } catch (error) {
    if (refusal !== undefined) throw refusal
    throw error instanceof CinderError && error.reason === BODY_SIZE_LIMIT ? tooLarge(options) : error
  } finally {
    freeBytes(read.bytes)
  }
}

function tooLarge(options: ConnectServerOptions, sizeBytes?: number): CinderError {
  return bodyTooLarge(options.bodyLimitBytes, {
    ...(sizeBytes === undefined ? {} : { sizeBytes }),
    ...(options.bodyLimitAdvice === undefined ? {} : { advice: options.bodyLimitAdvice }),
  })
}

/** The body is inflated and the answer is compressed here, so Connect sees neither header. */
function withoutEncoding(headers: Headers): Headers {
  if (!headers.has('content-encoding') && !headers.has('accept-encoding')) return headers
  const copy = new Headers(headers)
  copy.delete('content-encoding')
  copy.delete('accept-encoding')
  return copy
}

/** Unary answers are one chunk. */
async function firstChunk(body: AsyncIterable<Uint8Array> | undefined): Promise<Uint8Array> {
  if (body !== undefined) for await (const chunk of body) return chunk
  return new Uint8Array(0)
}

/** Connect says `internal` for bytes that are no message; whatever it says, the client sent them. */
function unreadable(message: string): CinderError {
  return invalidArgument(`unmarshal message: ${message}`, 'malformed_body')
}

/** Of an error of Connect. */
function messageOf(bytes: Uint8Array): string {
  const { message } = JSON.parse(new TextDecoder().decode(bytes)) as { message?: string }
  return message ?? 'unreadable'
}

function mappedError(error: unknown, options: ConnectServerOptions, where: string): ConnectError {
  if (error instanceof ConnectError) return error
  return toConnectError(toCinderError(error, options.log, where), { details: options.errorDetails ?? false })
}

/** Marks the call as begun, ends it at its deadline even if the implementation does not, and maps what it throws. */
function guardInvocation(options: ConnectServerOptions): Interceptor {
  return (next) => async (request) => {
    const invocation = request.contextValues.get(invocationKey)
    if (invocation !== undefined) invocation.started = true
    const where = `${request.service.typeName}/${request.method.name}`
    const mapped = (error: unknown) => mappedError(error, options, where)
    try {
      const refusal = request.contextValues.get(refusalKey)
      if (refusal !== undefined) throw refusal
      const answer = await untilAborted(next(request), request.signal)
      return answer.stream ? { ...answer, message: withMappedErrors(answer.message, mapped) } : answer
    } catch (error) {
      throw mapped(error)
    }
  }
}

async function* withMappedErrors<Part>(
  parts: AsyncIterable<Part>,
  mapped: (error: unknown) => ConnectError,
): AsyncGenerator<Part> {
  try {
    yield* parts
  } catch (error) {
    throw mapped(error)
  }
}

function untilAborted<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(ConnectError.from(signal.reason))
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
