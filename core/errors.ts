/**
 * Errors of the product: a closed union that says what the caller must do.
 *
 * A kind decides four things, each in one table: the Connect code (the kind's own name), the HTTP status, whether a
 * client may retry, and, for a write, whether it happened (`WriteOutcome`). Expected outcomes are return values; a
 * `CinderError` is thrown once per request at most, never per sample (a throw costs 2 µs, a returned object 0.06 µs).
 * Messages name the limit, the value and what is allowed. They never carry a stack or a secret.
 */

/** Connect's codes, which are also ours. */
export type ErrorKind =
  | 'canceled'
  | 'unknown'
  | 'invalid_argument'
  | 'deadline_exceeded'
  | 'not_found'
  | 'already_exists'
  | 'permission_denied'
  | 'resource_exhausted'
  | 'failed_precondition'
  | 'aborted'
  | 'out_of_range'
  | 'unimplemented'
  | 'internal'
  | 'unavailable'
  | 'data_loss'
  | 'unauthenticated'

/** What is known about a write that failed. `unknown` must not be retried under another identity. */
export type WriteOutcome = 'applied' | 'not-applied' | 'unknown'

/** HTTP status of a Connect unary error (connectrpc.com/docs/protocol, error codes). */
export const HTTP_STATUS_BY_KIND: Readonly<Record<ErrorKind, number>> = {
  canceled: 499,
  unknown: 500,
  invalid_argument: 400,
  deadline_exceeded: 504,
  not_found: 404,
  already_exists: 409,
  permission_denied: 403,
  resource_exhausted: 429,
  failed_precondition: 400,
  aborted: 409,
  out_of_range: 400,
  unimplemented: 501,
  internal: 500,
  unavailable: 503,
  data_loss: 500,
  unauthenticated: 401,
}

export interface ErrorDetails {
  /** Stable machine-readable reason, for metrics and the explain page: `samples_limit`, `malformed_profile`, … */
  readonly reason?: string
  readonly outcome?: WriteOutcome
  /** When a retry makes sense; becomes `Retry-After` (whole seconds, rounded up). */
  readonly retryAfterMs?: number
  readonly cause?: unknown
}

export class CinderError extends Error {
  readonly kind: ErrorKind
  readonly reason: string
  readonly outcome: WriteOutcome
  readonly retryAfterMs: number | undefined

  constructor(kind: ErrorKind, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'CinderError'
    this.kind = kind
    this.reason = details.reason ?? kind
    this.outcome = details.outcome ?? 'not-applied'
    this.retryAfterMs = details.retryAfterMs
  }
}

/** True where the same request may succeed later without a change. */
export function isRetryable(kind: ErrorKind): boolean {
  switch (kind) {
    case 'unavailable':
    case 'resource_exhausted':
    case 'aborted':
    case 'deadline_exceeded':
      return true
    case 'canceled':
    case 'unknown':
    case 'invalid_argument':
    case 'not_found':
    case 'already_exists':
    case 'permission_denied':
    case 'failed_precondition':
    case 'out_of_range':
    case 'unimplemented':
    case 'internal':
    case 'data_loss':
    case 'unauthenticated':
      return false
  }
}

/** A client's fault, status 400: `reason` names the class, the message names limit, value and allowed value. */
export function invalidArgument(message: string, reason = 'invalid_argument'): CinderError {
  return new CinderError('invalid_argument', message, { reason })
}
