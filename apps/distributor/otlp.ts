/**
 * OTLP profiles over HTTP: `POST /v1development/profiles` in protobuf or JSON, gzip or not; and over gRPC.
 *
 * 1. Method (405) and media type (415), without reading anything. Parameters of the type are legal and ignored.
 * 2. Tenant (401), a rate refusal that still holds (429), the body, bounded before and after inflating (413).
 * 3. Converted and written (otlp-export.ts). The answer has the encoding of the request: an
 *    `ExportProfilesServiceResponse`, with a partial success if some profiles were refused; an error is a
 *    `google.rpc.Status`, with `Retry-After` where a retry helps.
 *
 * Must not: answer 5xx for a body that is at fault, because exporters send those again.
 */
import type { Hono } from 'hono'
import { CinderError, HTTP_STATUS_BY_KIND } from '#core/errors.ts'
import type { Log } from '#core/ports/log.ts'
import {
  checkOtlpMessage,
  encodeOtlpAnswer,
  encodeOtlpError,
  messageOfAnswer,
  OTLP_EXPORT_PATH,
  type OtlpEncoding,
  otlpFromGrpc,
  otlpFromJson,
  OtlpProfilesService,
} from '#platform/connect/otlp-message.ts'
import { type ConnectServerOptions, mountService, tenantsOf } from '#platform/connect/server.ts'
import { freeBytes, type ReadBody } from '#platform/http/body.ts'
import {
  contentCodingOf,
  BODY_SIZE_LIMIT,
  type BodyCompression,
  bodyTooLarge,
  type InflateBody,
  inflaterOf,
  supportedEncodings,
} from '#platform/http/body-compression.ts'
import { errorResponse, retryAfterSeconds, toCinderError } from '#platform/http/errors.ts'
import { exportOtlp, type OtlpExportDeps } from './otlp-export.ts'
import type { Refusals } from './refusals.ts'

export const OTLP_PATH = '/v1development/profiles'

export interface OtlpDeps extends OtlpExportDeps {
  readonly log: Log
  readonly compression: BodyCompression
  readonly bodyLimitBytes: number
  readonly bodyLimitAdvice?: string
  readonly readBody: ReadBody
  readonly resolveTenant: (headers: Headers) => string
  /** The refusal that still holds for a tenant. */
  readonly refusal: (tenant: string) => CinderError | undefined
  /** What is refused without a writer. */
  readonly refusals: Refusals
}

const ENCODINGS: Readonly<Record<string, OtlpEncoding>> = {
  'application/json': 'json',
  'application/x-protobuf': 'protobuf',
  'application/protobuf': 'protobuf',
}

/** Paths of the protocol over HTTP, and of gRPC and gRPC-Web. */
export function mountOtlp(app: Hono, deps: OtlpDeps, service: ConnectServerOptions): void {
  app.all(OTLP_PATH, (context) => handleOtlp(context.req.raw, deps))
  app.use(OTLP_EXPORT_PATH, async (context, next) => {
    // Plain requests on the path of the service are read too, as the peers do.
    if (/^application\/grpc/i.test(context.req.header('content-type') ?? '')) return next()
    return handleOtlp(context.req.raw, deps)
  })
  mountService(
    app,
    OtlpProfilesService,
    {
      async export(request, context) {
        const tenant = tenantsOf(context)[0]!
        try {
          return messageOfAnswer(
            await exportOtlp(deps, { tenant, bytes: otlpFromGrpc(request), signal: context.signal }),
          )
        } catch (error) {
          deps.refusals.note(tenant, '', error)
          throw error
        }
      },
    },
    { ...service, checkMessage: checkOtlpMessage },
  )
}

async function handleOtlp(request: Request, deps: OtlpDeps): Promise<Response> {
  if (request.method !== 'POST') return new Response(null, { status: 405, headers: { Allow: 'POST' } })
  const contentType = request.headers.get('content-type') ?? ''
  const encoding = ENCODINGS[contentType.split(';', 1)[0]!.trim().toLowerCase()]
  if (encoding === undefined) return unsupported(`Unsupported Content-Type: ${contentType}`)
  const compression = contentCodingOf(request.headers)
  const inflate = inflaterOf(compression, deps.compression)
  if (compression !== 'identity' && inflate === undefined) {
    const accepted = supportedEncodings(deps.compression)
    return unsupported(`Unsupported Content-Encoding: ${compression} (accepted are ${accepted})`)
  }
  let tenant: string | undefined
  try {
    tenant = deps.resolveTenant(request.headers)
    const held = deps.refusal(tenant)
    if (held !== undefined) throw held
    const body = await readOtlpBody(request, deps, inflate)
    const bytes = encoding === 'json' ? otlpFromJson(body) : body
    const answer = await exportOtlp(deps, { tenant, bytes, isNamed: encoding === 'json', signal: request.signal })
    return new Response(encodeOtlpAnswer(answer, encoding), { headers: { 'Content-Type': typeOf(encoding) } })
  } catch (error) {
    if (tenant !== undefined) deps.refusals.note(tenant, '', error)
    const known = toCinderError(error, deps.log, OTLP_PATH)
    // Who has no tenant gets the answer of every route, before any protocol.
    return known.kind === 'unauthenticated' ? errorResponse(known) : failure(known, encoding)
  }
}

async function readOtlpBody(request: Request, deps: OtlpDeps, inflate: InflateBody | undefined): Promise<Uint8Array> {
  const read = await deps.readBody(request, deps.bodyLimitBytes)
  if (read.kind === 'too-large') {
    const advice = deps.bodyLimitAdvice === undefined ? {} : { advice: deps.bodyLimitAdvice }
    throw bodyTooLarge(deps.bodyLimitBytes, { sizeBytes: read.sizeBytes, ...advice })
  }
  if (read.kind === 'busy') throw read.error
  if (read.kind === 'broken') throw new CinderError('canceled', 'the request body ended early', { cause: read.cause })
  if (inflate === undefined) return read.bytes
  try {
    return await inflate(read.bytes, deps.bodyLimitBytes)
  } finally {
    freeBytes(read.bytes)
  }
}

function failure(error: CinderError, encoding: OtlpEncoding): Response {
  const status = error.reason === BODY_SIZE_LIMIT ? 413 : HTTP_STATUS_BY_KIND[error.kind]
  const headers = new Headers({ 'Content-Type': typeOf(encoding), 'X-Content-Type-Options': 'nosniff' })
  const retryAfter = retryAfterSeconds(error.kind, error.retryAfterMs)
  if (retryAfter !== undefined) headers.set('Retry-After', retryAfter)
  return new Response(encodeOtlpError(error, encoding), { status, headers })
}

function typeOf(encoding: OtlpEncoding): string {
  return encoding === 'json' ? 'application/json' : 'application/x-protobuf'
}

function unsupported(message: string): Response {
  return new Response(`${message}\n`, {
    status: 415,
    headers: { 'Content-Type': 'text/plain; charset=utf-8', 'X-Content-Type-Options': 'nosniff' },
  })
}
