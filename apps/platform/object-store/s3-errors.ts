/**
 * What an answer of an S3 server, or none, means for the caller. Pure; one table for our own requests and the SDK's.
 *
 * The code in the body decides where there is one, else the status. A write that got no answer, or a 5xx, may have
 * happened: its outcome is `unknown`. `slow_down` is the reason that the rate limiter listens to.
 */
import { CinderError, type ErrorKind, type WriteOutcome } from '#core/errors.ts'
import { SLOW_DOWN_REASON } from '#core/store/retry-policy.ts'

export interface S3Failure {
  /** For people: `put objects/ab/X.cb`. */
  readonly action: string
  readonly isWrite: boolean
  /** 0 = no answer. */
  readonly status: number
  /** Code of the error body; HEAD has none. */
  readonly code: string
  readonly message: string
  readonly retryAfterMs?: number | undefined
  readonly cause?: unknown
}

interface Meaning {
  readonly kind: ErrorKind
  readonly reason: string
  /** What a person may do about it. */
  readonly advice?: string
}

const SLOW_DOWN: Meaning = { kind: 'unavailable', reason: SLOW_DOWN_REASON }
const NO_BUCKET: Meaning = { kind: 'failed_precondition', reason: 'no_bucket', advice: 'create the bucket first' }
const WRONG_REGION: Meaning = {
  kind: 'failed_precondition',
  reason: 'wrong_region',
  advice: 'set region= in STORAGE_URL to the region of the bucket',
}
const WRONG_KEY: Meaning = { kind: 'permission_denied', reason: 'wrong_credentials', advice: 'check the access keys' }
const PAST_END: Meaning = { kind: 'data_loss', reason: 'range_past_end' }
const EXPIRED: Meaning = { kind: 'unavailable', reason: 'credentials_expired' }

const BY_CODE: Readonly<Record<string, Meaning>> = {
  NoSuchKey: { kind: 'not_found', reason: 'not_found' },
  NoSuchUpload: { kind: 'failed_precondition', reason: 'upload_ended' },
  NoSuchBucket: NO_BUCKET,
  InvalidRange: PAST_END,
  AccessDenied: { kind: 'permission_denied', reason: 'access_denied' },
  InvalidAccessKeyId: WRONG_KEY,
  SignatureDoesNotMatch: WRONG_KEY,
  ExpiredToken: EXPIRED,
  TokenRefreshRequired: EXPIRED,
  RequestTimeTooSkewed: { kind: 'unavailable', reason: 'clock_skew', advice: 'set the clock of this machine' },
  AuthorizationHeaderMalformed: WRONG_REGION,
  PermanentRedirect: WRONG_REGION,
  SlowDown: SLOW_DOWN,
  SlowDownRead: SLOW_DOWN,
  SlowDownWrite: SLOW_DOWN,
  TooManyRequests: SLOW_DOWN,
  ServiceUnavailable: SLOW_DOWN,
  RequestLimitExceeded: SLOW_DOWN,
  Throttling: SLOW_DOWN,
  ThrottlingException: SLOW_DOWN,
  RequestTimeout: { kind: 'unavailable', reason: 'request_timeout' },
  // The body that arrived is not the one that was signed: it was damaged on the way, so sending it again may help.
  XAmzContentSHA256Mismatch: { kind: 'unavailable', reason: 'body_damaged' },
  BadDigest: { kind: 'unavailable', reason: 'body_damaged' },
  PreconditionFailed: { kind: 'already_exists', reason: 'already_exists' },
  // Another write of the key is under way: only after it one knows.
  ConditionalRequestConflict: { kind: 'aborted', reason: 'conflict' },
  OperationAborted: { kind: 'aborted', reason: 'conflict' },
}

export function s3Error(failure: S3Failure): CinderError {
  const meaning = BY_CODE[failure.code] ?? byStatus(failure.status)
  const advice = meaning.advice === undefined ? '' : `; ${meaning.advice}`
  const said = [failure.status === 0 ? '' : String(failure.status), failure.code, failure.message].filter(Boolean)
  return new CinderError(meaning.kind, `cannot ${failure.action}: ${said.join(' ')}${advice}`, {
    reason: meaning.reason,
    outcome: outcomeOf(failure, meaning),
    ...(failure.retryAfterMs === undefined ? {} : { retryAfterMs: failure.retryAfterMs }),
    cause: failure.cause,
  })
}

function byStatus(status: number): Meaning {
  if (status === 404) return { kind: 'not_found', reason: 'not_found' }
  if (status === 401 || status === 403) return { kind: 'permission_denied', reason: 'access_denied' }
  if (status === 409) return { kind: 'aborted', reason: 'conflict' }
  if (status === 412) return { kind: 'already_exists', reason: 'already_exists' }
  if (status === 416) return PAST_END
  if (status === 429 || status === 503) return SLOW_DOWN
  if (status === 301 || status === 307) return WRONG_REGION
  if (status === 501) return { kind: 'unimplemented', reason: 'unimplemented' }
  if (status === 0 || status === 408 || status >= 500) return { kind: 'unavailable', reason: 'store_unavailable' }
  return { kind: 'internal', reason: 'store_refused' }
}

function outcomeOf({ isWrite, status }: S3Failure, meaning: Meaning): WriteOutcome {
  if (!isWrite || meaning.reason === SLOW_DOWN_REASON || meaning.kind !== 'unavailable') return 'not-applied'
  return status === 0 || status === 408 || status >= 500 ? 'unknown' : 'not-applied'
}

/** Seconds, or a date that is not worth a parser here. */
export function parseRetryAfterMs(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,5}$/.test(text) ? Number(text) * 1000 : undefined
}

/** Code and message of an error body. A proxy's HTML has neither. */
export function parseErrorBody(text: string): { code: string; message: string } {
  const field = (name: string) => new RegExp(`<${name}>([^<]{0,500})</${name}>`).exec(text)?.[1] ?? ''
  return { code: field('Code'), message: field('Message') }
}
