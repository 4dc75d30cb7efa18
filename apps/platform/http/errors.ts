/**
 * Errors as JSON, `{"code","message"}`: of Connect calls (the kind decides code and status) and of plain handlers (the
 * status decides the code, as the peers derive it: 408 and 422 are "unknown").
 *
 * What is not a `CinderError` is hidden from the client and logged.
 */
import { CinderError, type ErrorKind, HTTP_STATUS_BY_KIND, isRetryable } from '#core/errors.ts'
import type { Log } from '#core/ports/log.ts'
import { MS_PER_SECOND } from '#core/units.ts'

/** When a retryable error does not say more: one second spreads the retries of agents that start at 0.5 s. */
const RETRY_AFTER_DEFAULT_MS = 1_000

const CODE_BY_STATUS: Readonly<Record<number, ErrorKind>> = {
  400: 'invalid_argument',
  401: 'unauthenticated',
  403: 'permission_denied',
  404: 'unimplemented',
  412: 'failed_precondition',
  413: 'invalid_argument',
  429: 'resource_exhausted',
  431: 'resource_exhausted',
  499: 'canceled',
  502: 'unavailable',
  503: 'unavailable',
  504: 'deadline_exceeded',
}

/** Value of `Retry-After` in whole seconds, at least 1; undefined if a retry makes no sense. */
export function retryAfterSeconds(kind: ErrorKind, retryAfterMs: number | undefined): string | undefined {
  if (!isRetryable(kind)) return undefined
  return String(Math.max(1, Math.ceil((retryAfterMs ?? RETRY_AFTER_DEFAULT_MS) / MS_PER_SECOND)))
}

/** Turns anything thrown into the error that a client may see. */
export function toCinderError(error: unknown, log: Log, where: string): CinderError {
  if (error instanceof CinderError) return error
  log.error('request failed', { where, error, stack: error instanceof Error ? error.stack : undefined })
  return new CinderError('internal', 'internal error', { outcome: 'unknown', cause: error })
}

/** The answer of a plain handler with a status of its own. */
export function statusResponse(status: number, message: string, headers: HeadersInit = {}): Response {
  return jsonError(status, CODE_BY_STATUS[status] ?? 'unknown', message, headers)
}

/** The answer of a plain handler, or of a Connect call that fails before its message is read. */
export function errorResponse(error: CinderError): Response {
  const retryAfter = retryAfterSeconds(error.kind, error.retryAfterMs)
  return jsonError(
    HTTP_STATUS_BY_KIND[error.kind],
    error.kind,
    error.message,
    retryAfter === undefined ? {} : { 'Retry-After': retryAfter },
  )
}

/** `404 page not found`, the text that every peer answers. */
export function notFoundResponse(): Response {
  return new Response('404 page not found\n', {
    status: 404,
    headers: { 'Content-Type': 'text/plain; charset=utf-8', 'X-Content-Type-Options': 'nosniff' },
  })
}

function jsonError(status: number, code: string, message: string, headers: HeadersInit): Response {
  const response = new Response(JSON.stringify({ code, message }), { status, headers })
  response.headers.set('Content-Type', 'application/json')
  response.headers.set('X-Content-Type-Options', 'nosniff')
  return response
}
