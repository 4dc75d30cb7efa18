/**
 * `POST /ingest`: one profile of an SDK. Agents take exactly 200 for success, and do not retry on 4xx but 408 and 429.
 *
 * 1. Tenant (401), a rate refusal that still holds (429), the name (400).
 * 2. The body, bounded (413), inflated if it says so and is gzip.
 * 3. The form or the body as it is (ingest-request.ts), to the writer.
 * 4. 200 without a body; a rejected profile is 422, of stacks in text 400 where it was read and is refused for what it says;
 *    what a retry may mend is 429 or 503 with `Retry-After`.
 */
import { CinderError, type ErrorKind } from '#core/errors.ts'
import { MALFORMED_BODY } from '#core/ingest/text-profile.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import { freeBytes, type ReadBody } from '#platform/http/body.ts'
import {
  contentCodingOf,
  BODY_SIZE_LIMIT,
  type BodyCompression,
  bodyTooLarge,
  inflaterOf,
  supportedEncodings,
} from '#platform/http/body-compression.ts'
import { errorResponse, statusResponse, toCinderError } from '#platform/http/errors.ts'
import { seriesOfRecording } from './ingest-jfr.ts'
import {
  type IngestFormat,
  ingestFormat,
  type IngestInput,
  ingestName,
  type IngestParameters,
  isPprof,
  seriesOfBody,
  seriesOfForm,
  seriesOfRaw,
} from './ingest-request.ts'
import type { WriteSeriesOf } from './push.ts'
import type { Refusals } from './refusals.ts'

export interface IngestDeps {
  readonly clock: Pick<Clock, 'nowMs'>
  readonly log: Log
  readonly compression: BodyCompression
  readonly bodyLimitBytes: number
  readonly bodyLimitAdvice?: string
  readonly readBody: ReadBody
  readonly freesBodies: boolean
  readonly resolveTenant: (headers: Headers) => string
  /** The refusal that still holds for a tenant. */
  readonly refusal: (tenant: string) => CinderError | undefined
  /** What is refused without a writer. */
  readonly refusals: Refusals
  readonly write: WriteSeriesOf
}

/** The profile is at fault; the peers answer 422 to these, which no agent retries. */
const PROFILE_FAULTS: ReadonlySet<ErrorKind> = new Set(['invalid_argument', 'out_of_range', 'failed_precondition'])

export async function handleIngest(request: Request, deps: IngestDeps): Promise<Response> {
  if (request.method !== 'POST') return new Response(null, { status: 405, headers: { Allow: 'POST' } })
  let tenant: string | undefined
  try {
    tenant = deps.resolveTenant(request.headers)
    const refusal = deps.refusal(tenant)
    return refusal === undefined ? await ingest(request, tenant, deps) : errorResponse(refusal)
  } catch (error) {
    if (tenant !== undefined) deps.refusals.note(tenant, nameOf(request), error)
    const known = toCinderError(error, deps.log, '/ingest')
    return PROFILE_FAULTS.has(known.kind) ? statusResponse(422, known.message) : errorResponse(known)
  }
}

async function ingest(request: Request, tenant: string, deps: IngestDeps): Promise<Response> {
  const query = new URL(request.url).searchParams
  const contentType = request.headers.get('content-type') ?? ''
  const parameters: IngestParameters = {
    name: query.get('name') ?? '',
    spyName: query.get('spyName') || 'unknown',
    from: query.get('from') ?? undefined,
    until: query.get('until') ?? undefined,
    sampleRate: query.get('sampleRate') ?? undefined,
  }
  const named = nameOrRefusal(parameters)
  if (named instanceof CinderError) {
    deps.refusals.note(tenant, '', named)
    return errorResponse(named)
  }
  const body = await readIngestBody(request, deps)
  if (body instanceof Response) {
    deps.refusals.noteAs(tenant, named.app, await bodyRefusal(body))
    return body
  }
  const asked = ingestFormat(query.get('format') ?? undefined, contentType)
  const format = asked === 'groups' && isPprof(body) ? 'pprof' : asked
  const series = seriesOf(format, { contentType, body }, { named, parameters, nowMs: deps.clock.nowMs() })
  try {
    if (series !== undefined) await deps.write(tenant, [series])
  } catch (error) {
    if (isRefusedText(format, error)) return errorResponse(error)
    throw error
  } finally {
    if (deps.freesBodies) freeBytes(body)
  }
  return new Response(null, { status: 200 })
}

const BODY_REASONS: Readonly<Record<number, string>> = {
  408: 'body_ended_early',
  413: BODY_SIZE_LIMIT,
  415: 'content_encoding',
  503: 'body_budget',
}

async function bodyRefusal(answer: Response): Promise<{ readonly reason: string; readonly message: string }> {
  const { message } = (await answer.clone().json()) as { readonly message: string }
  return { reason: BODY_REASONS[answer.status] ?? 'body', message }
}

/** The service as far as it is known: that of the name. */
function nameOf(request: Request): string {
  const named = nameOrRefusal({
    name: new URL(request.url).searchParams.get('name') ?? '',
    spyName: '',
    from: undefined,
  })
  return named instanceof CinderError ? '' : named.app
}

function seriesOf(
  format: IngestFormat,
  { contentType, body }: { readonly contentType: string; readonly body: Uint8Array },
  input: IngestInput,
) {
  if (format === 'form') return seriesOfForm(contentType, body, input)
  if (format === 'jfr') return seriesOfRecording(contentType, body, input)
  return format === 'pprof' ? seriesOfRaw(body, input) : seriesOfBody(format, body, input)
}

function isStacks(format: IngestFormat): boolean {
  return format === 'groups' || format === 'lines' || format === 'tree' || format === 'trie'
}

/** The body could be read, but what it says is not taken: its time, its labels, its name. */
function isRefusedText(format: IngestFormat, error: unknown): error is CinderError {
  return isStacks(format) && error instanceof CinderError && error.reason !== MALFORMED_BODY
}

/** A bad name is 400 where a bad profile is 422. */
function nameOrRefusal(parameters: IngestParameters) {
  try {
    return ingestName(parameters)
  } catch (error) {
    if (error instanceof CinderError) return error
    throw error
  }
}

async function readIngestBody(request: Request, deps: IngestDeps): Promise<Uint8Array | Response> {
  const encoding = contentCodingOf(request.headers)
  const inflate = inflaterOf(encoding, deps.compression)
  if (encoding !== 'identity' && inflate === undefined) {
    const accepted = supportedEncodings(deps.compression)
    return statusResponse(415, `content encoding ${JSON.stringify(encoding)} is not accepted: accepted are ${accepted}`)
  }
  const read = await deps.readBody(request, deps.bodyLimitBytes)
  if (read.kind === 'too-large') return tooLarge(deps, read.sizeBytes)
  if (read.kind === 'busy') return errorResponse(read.error)
  if (read.kind === 'broken') return statusResponse(408, 'the request body ended early')
  // The peers ignore the header, so a body that claims gzip and is not is taken as it is.
  const isGzip = read.bytes[0] === 0x1f && read.bytes[1] === 0x8b
  if (inflate === undefined || (encoding === 'gzip' && !isGzip)) return read.bytes
  try {
    return await inflate(read.bytes, deps.bodyLimitBytes)
  } catch (error) {
    if (error instanceof CinderError && error.reason === BODY_SIZE_LIMIT) return tooLarge(deps)
    throw error
  } finally {
    freeBytes(read.bytes)
  }
}

function tooLarge(deps: IngestDeps, sizeBytes?: number): Response {
  const error = bodyTooLarge(deps.bodyLimitBytes, {
    ...(sizeBytes === undefined ? {} : { sizeBytes }),
    ...(deps.bodyLimitAdvice === undefined ? {} : { advice: deps.bodyLimitAdvice }),
  })
  return statusResponse(413, error.message)
}
