/**
 * CinderError <-> Connect error. Between our own services the reason, the outcome and the retry time travel as one
 * error detail (`cinder.v1.ErrorDetail`), because a code alone does not say whether a write happened.
 */
import { fromBinary } from '@bufbuild/protobuf'
import { base64Decode } from '@bufbuild/protobuf/wire'
import { Code, ConnectError } from '@connectrpc/connect'
import { CinderError, type ErrorKind, HTTP_STATUS_BY_KIND, type WriteOutcome } from '#core/errors.ts'
import { ErrorDetailSchema } from '../gen/cinder/v1/error_pb.ts'
import { retryAfterSeconds } from '../http/errors.ts'

/** Connect's numbers. */
const CODE_BY_KIND: Readonly<Record<ErrorKind, Code>> = {
  canceled: Code.Canceled,
  unknown: Code.Unknown,
  invalid_argument: Code.InvalidArgument,
  deadline_exceeded: Code.DeadlineExceeded,
  not_found: Code.NotFound,
  already_exists: Code.AlreadyExists,
  permission_denied: Code.PermissionDenied,
  resource_exhausted: Code.ResourceExhausted,
  failed_precondition: Code.FailedPrecondition,
  aborted: Code.Aborted,
  out_of_range: Code.OutOfRange,
  unimplemented: Code.Unimplemented,
  internal: Code.Internal,
  unavailable: Code.Unavailable,
  data_loss: Code.DataLoss,
  unauthenticated: Code.Unauthenticated,
}

/** The number of a kind in gRPC and in `google.rpc.Status`. */
export function grpcCodeOf(kind: ErrorKind): number {
  return CODE_BY_KIND[kind]
}

export function toConnectError(error: CinderError, options: { details: boolean }): ConnectError {
  const retryAfter = retryAfterSeconds(error.kind, error.retryAfterMs)
  const detail = { reason: error.reason, outcome: error.outcome, retryAfterMs: error.retryAfterMs ?? 0 }
  return new ConnectError(
    error.message,
    CODE_BY_KIND[error.kind],
    retryAfter === undefined ? undefined : { 'Retry-After': retryAfter },
    options.details ? [{ desc: ErrorDetailSchema, value: detail }] : undefined,
    error,
  )
}

interface WireError {
  code?: unknown
  message?: unknown
  details?: unknown
}

/** The error of a response that is not 200. A body that is not Connect's JSON comes from something between us. */
export function fromErrorResponse(where: string, status: number, body: string): CinderError {
  let wire: WireError
  try {
    wire = JSON.parse(body) as WireError
  } catch {
    wire = {}
  }
  const kind = isErrorKind(wire.code) ? wire.code : kindOfStatus(status)
  const message = typeof wire.message === 'string' ? wire.message : `${where} answered status ${status}`
  const detail = findDetail(wire.details)
  return new CinderError(kind, message, {
    reason: detail?.reason === undefined || detail.reason === '' ? kind : detail.reason,
    outcome: isOutcome(detail?.outcome) ? detail.outcome : 'unknown',
    ...(detail !== undefined && detail.retryAfterMs > 0 ? { retryAfterMs: detail.retryAfterMs } : {}),
  })
}

function findDetail(details: unknown) {
  if (!Array.isArray(details)) return undefined
  for (const entry of details as { type?: unknown; value?: unknown }[]) {
    if (entry?.type !== ErrorDetailSchema.typeName || typeof entry.value !== 'string') continue
    try {
      return fromBinary(ErrorDetailSchema, base64Decode(entry.value))
    } catch {
      return undefined
    }
  }
  return undefined
}

function isErrorKind(value: unknown): value is ErrorKind {
  return typeof value === 'string' && Object.hasOwn(HTTP_STATUS_BY_KIND, value)
}

function isOutcome(value: unknown): value is WriteOutcome {
  return value === 'applied' || value === 'not-applied' || value === 'unknown'
}

/** As Connect derives a code from the status of a proxy. */
function kindOfStatus(status: number): ErrorKind {
  if (status === 400) return 'internal'
  if (status === 401) return 'unauthenticated'
  if (status === 403) return 'permission_denied'
  if (status === 404) return 'unimplemented'
  if (status === 429 || status === 502 || status === 503 || status === 504) return 'unavailable'
  return 'unknown'
}
