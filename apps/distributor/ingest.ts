/**
 * `POST /ingest`: one profile of an SDK. Agents take exactly 200 for success, and do not retry on 4xx but 408 and 429.
 *
 * 1. Tenant (401), a rate refusal that still holds (429), the name (400), the format (415, 422).
 * 2. The body, bounded (413), inflated if it says so and is gzip.
 * 3. The form or the raw profile (422), to the writer.
 * 4. 200 without a body; a rejected profile is 422; what a retry may mend is 429 or 503 with `Retry-After`.
 */
import { CinderError, type ErrorKind } from '#core/errors.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { Log } from '#core/ports/log.ts'
import { freeBytes, type ReadBody } from '#platform/http/body.ts'
import { BODY_SIZE_LIMIT, type BodyCompression, bodyTooLarge } from '#platform/http/body-compression.ts'
import { errorResponse, statusResponse, toCinderError } from '#platform/http/errors.ts'
import { ingestFormat, ingestLabels, type IngestParameters, seriesOfForm, seriesOfRaw } from './ingest-request.ts'
import type { WriteSeriesOf } from './push.ts'

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
  readonly write: WriteSeriesOf
}

/** The profile is at fault; the peers answer 422 to these, which no agent retries. */
const PROFILE_FAULTS: ReadonlySet<ErrorKind> = new Set(['invalid_argument', 'out_of_range', 'failed_precondition'])

export async function handleIngest(request: Request, deps: IngestDeps): Promise<Response> {
  if (request.method !== 'POST') return new Response(null, { status: 405, headers: { Allow: 'POST' } })
  try {
    const tenant = deps.resolveTenant(request.headers)
    const refusal = deps.refusal(tenant)
    return refusal === undefined ? await ingest(request, tenant, deps) : errorResponse(refusal)
  } catch (error) {
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
  }
  const labels = labelsOrRefusal(parameters)
  if (labels instanceof CinderError) return errorResponse(labels)
  const format = ingestFormat(query.get('format') ?? undefined, contentType)
  if (format.kind === 'unsupported') return statusResponse(format.status, format.message)
  const body = await readIngestBody(request, deps)
  if (body instanceof Response) return body
  const input = { labels, parameters, nowMs: deps.clock.nowMs() }
  const series = format.body === 'form' ? seriesOfForm(contentType, body, input) : seriesOfRaw(body, input)
  try {
    if (series !== undefined) await deps.write(tenant, [series])
  } finally {
    if (deps.freesBodies) freeBytes(body)
  }
  return new Response(null, { status: 200 })
}

/** A bad name is 400 where a bad profile is 422. */
function labelsOrRefusal(parameters: IngestParameters) {
  try {
    return ingestLabels(parameters)
  } catch (error) {
    if (error instanceof CinderError) return error
    throw error
  }
}

async function readIngestBody(request: Request, deps: IngestDeps): Promise<Uint8Array | Response> {
  const encoding = request.headers.get('content-encoding') ?? 'identity'
  if (encoding !== 'identity' && encoding !== 'gzip') {
    return statusResponse(
      415,
      `content encoding ${JSON.stringify(encoding)} is not accepted: accepted are gzip, identity`,
    )
  }
  const read = await deps.readBody(request, deps.bodyLimitBytes)
  if (read.kind === 'too-large') return tooLarge(deps, read.sizeBytes)
  if (read.kind === 'busy') return errorResponse(read.error)
  if (read.kind === 'broken') return statusResponse(408, 'the request body ended early')
  // The peers ignore the header, so a body that claims gzip and is not is taken as it is.
  const isGzip = encoding === 'gzip' && read.bytes[0] === 0x1f && read.bytes[1] === 0x8b
  if (!isGzip) return read.bytes
  try {
    return await deps.compression.gunzip(read.bytes, deps.bodyLimitBytes)
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
