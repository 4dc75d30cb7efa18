/**
 * One signed request to one bucket: the hot path of the S3 adapter (a put, a ranged get, a head, a delete, a part).
 *
 * 1. Headers are signed by SigV4 with the SHA-256 of the body, not UNSIGNED-PAYLOAD: at 1.7 GB/s it costs 0.6 ms a MiB,
 *    and every store that checks signatures then refuses a body that was damaged on the way.
 * 2. fetch, once. No retry, no time limit but the caller's signal: wrappers do that. Two exceptions, which only this
 *    file can mend: credentials that expired are asked for anew, and a clock that is off is corrected by the server's
 *    `Date`; each then repeats the request once.
 * 3. The body is collected and must have the promised length: a runtime may hand out a cut one without an error.
 * Measured on radosgw over loopback, CPU a call: a range of 4 kB 0.34 ms, a put of 10 kB 0.43; the SDK takes 1.19 and 1.40.
 */
import type { FetchHttpHandler } from '@smithy/fetch-http-handler'
import { SignatureV4 } from '@smithy/signature-v4'
import { CinderError } from '#core/errors.ts'
import { parseErrorBody, parseRetryAfterMs, s3Error } from './s3-errors.ts'
import { Sha256, sha256Hex } from './sha256.ts'

export interface S3Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

export interface S3HttpSettings {
  /** Protocol, host and port; with the bucket in the host unless it is in the path. */
  readonly origin: URL
  /** Before every key: `/bucket/prefix/`, `/prefix/` or `/`. */
  readonly pathPrefix: string
  readonly region: string
  /** Cached by whoever gives it. `isForced`: what is cached was refused as expired. */
  readonly credentials: (isForced: boolean) => Promise<S3Credentials>
  readonly nowMs: () => number
}

export interface S3Request {
  /** For error messages. */
  readonly action: string
  readonly method: 'GET' | 'PUT' | 'HEAD' | 'DELETE'
  readonly key: string
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
  /** Of `body`, if it is known already. */
  readonly sha256?: string
  readonly signal?: AbortSignal | undefined
  /** Looks at the head of a good answer before its body is read; what it throws ends the request. */
  readonly check?: (answer: S3Head) => void
}

export interface S3Head {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
}

export interface S3Answer extends S3Head {
  readonly body: Uint8Array
}

const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
/** Error bodies have a few hundred bytes; a proxy's page more. */
const ERROR_BODY_CHARS_MAX = 16_384

/** The signer returns one; the package that names the type is not ours to import. */
type HttpRequest = Parameters<FetchHttpHandler['handle']>[0]

export class S3Http {
  readonly #settings: S3HttpSettings
  readonly #handler: FetchHttpHandler
  readonly #signer: SignatureV4
  #credentials: S3Credentials | undefined
  #clockOffsetMs = 0

  constructor(settings: S3HttpSettings, handler: FetchHttpHandler) {
    this.#settings = settings
    this.#handler = handler
    this.#signer = new SignatureV4({
      service: 's3',
      region: settings.region,
      credentials: async () => this.#credentials!,
      sha256: Sha256,
      // S3 alone signs the path as it is sent.
      uriEscapePath: false,
      applyChecksum: false,
    })
  }

  /** The answer to a request that the server granted. Everything else is a `CinderError`. */
  async send(request: S3Request): Promise<S3Answer> {
    try {
      return await this.#sendOnce(request, false)
    } catch (error) {
      const reason = error instanceof CinderError ? error.reason : ''
      if (reason === 'credentials_expired') return this.#sendOnce(request, true)
      if (reason === 'clock_skew') return this.#sendOnce(request, false)
      throw error
    }
  }

  async #sendOnce(request: S3Request, isForced: boolean): Promise<S3Answer> {
    const signed = await this.#sign(request, isForced)
    try {
      const { response } = await this.#handler.handle(
        signed,
        request.signal === undefined ? {} : { abortSignal: request.signal },
      )
      const head: S3Head = { status: response.statusCode, headers: response.headers }
      if (head.status >= 300) throw await this.#refusal(request, head, response.body)
      checkHead(request, head, response.body)
      const body = await collect(response.body)
      checkLength(request, head, body)
      return { ...head, body }
    } catch (error) {
      throw asCinderError(error, request)
    }
  }

  async #sign(request: S3Request, isForced: boolean): Promise<HttpRequest> {
    const { origin, pathPrefix, nowMs } = this.#settings
    try {
      this.#credentials = await this.#settings.credentials(isForced)
    } catch (cause) {
      throw new CinderError('unauthenticated', `no credentials for S3: ${messageOf(cause)}`, {
        reason: 'no_credentials',
        cause,
      })
    }
    const { body } = request
    const sha256 = request.sha256 ?? (body === undefined || body.length === 0 ? EMPTY_SHA256 : sha256Hex(body))
    const headers: Record<string, string> = { host: origin.host, 'x-amz-content-sha256': sha256, ...request.headers }
    const signed = (await this.#signer.sign(
      {
        method: request.method,
        protocol: origin.protocol,
        hostname: origin.hostname,
        ...(origin.port === '' ? {} : { port: Number(origin.port) }),
        path: pathPrefix + request.key,
        query: { ...request.query },
        headers,
        ...(body === undefined ? {} : { body }),
      },
      { signingDate: new Date(nowMs() + this.#clockOffsetMs) },
    )) as HttpRequest
    // fetch sets the host itself. Nobody on the way may compress what has checksums of its own.
    delete signed.headers.host
    signed.headers['accept-encoding'] = 'identity'
    return signed
  }

  async #refusal(request: S3Request, { status, headers }: S3Head, stream: unknown): Promise<CinderError> {
    const text = new TextDecoder().decode(await collect(stream)).slice(0, ERROR_BODY_CHARS_MAX)
    const { code, message } = parseErrorBody(text)
    const region = headers['x-amz-bucket-region']
    const serverMs = Date.parse(headers.date ?? '')
    if (code === 'RequestTimeTooSkewed' && !Number.isNaN(serverMs))
      this.#clockOffsetMs = serverMs - this.#settings.nowMs()
    return s3Error({
      action: request.action,
      isWrite: request.method === 'PUT' || request.method === 'DELETE',
      status,
      code,
      message: region === undefined ? message : `${message} (the bucket is in ${region})`,
      retryAfterMs: parseRetryAfterMs(headers['retry-after']),
    })
  }
}

function checkHead(request: S3Request, head: S3Head, body: unknown): void {
  try {
    request.check?.(head)
  } catch (error) {
    if (body instanceof ReadableStream) void body.cancel().catch(() => undefined)
    throw error
  }
}

async function collect(body: unknown): Promise<Uint8Array> {
  if (body === undefined || body === null) return new Uint8Array(0)
  return new Uint8Array(await new Response(body as ReadableStream | Blob).arrayBuffer())
}

function checkLength(request: S3Request, { headers }: S3Head, body: Uint8Array): void {
  const promised = headers['content-length']
  if (request.method === 'HEAD' || promised === undefined || Number(promised) === body.length) return
  throw new CinderError('unavailable', `cannot ${request.action}: ${body.length} of ${promised} bytes arrived`, {
    reason: 'body_cut',
  })
}

function asCinderError(error: unknown, request: S3Request): CinderError {
  if (error instanceof CinderError) return error
  const isWrite = request.method === 'PUT' || request.method === 'DELETE'
  if (request.signal?.aborted === true) return canceled(request.action, isWrite)
  return s3Error({ action: request.action, isWrite, status: 0, code: '', message: messageOf(error), cause: error })
}

export function canceled(action: string, isWrite: boolean): CinderError {
  return new CinderError('canceled', `cannot ${action}: it was canceled`, {
    outcome: isWrite ? 'unknown' : 'not-applied',
  })
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
