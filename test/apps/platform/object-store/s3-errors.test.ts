import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ErrorKind, WriteOutcome } from '#core/errors.ts'
import { SLOW_DOWN_REASON } from '#core/store/retry-policy.ts'
import { parseErrorBody, parseRetryAfterMs, s3Error } from '#platform/object-store/s3-errors.ts'

const ACTION = { action: 'put objects/ab/X.cb', isWrite: true, message: '' }

test('a status and a code have one meaning, and a write that may have happened says so', () => {
  const cases: [number, string, ErrorKind, string, WriteOutcome][] = [
    [404, 'NoSuchKey', 'not_found', 'not_found', 'not-applied'],
    [404, '', 'not_found', 'not_found', 'not-applied'],
    [404, 'NoSuchBucket', 'failed_precondition', 'no_bucket', 'not-applied'],
    [404, 'NoSuchUpload', 'failed_precondition', 'upload_ended', 'not-applied'],
    [403, 'AccessDenied', 'permission_denied', 'access_denied', 'not-applied'],
    [403, '', 'permission_denied', 'access_denied', 'not-applied'],
    [403, 'SignatureDoesNotMatch', 'permission_denied', 'wrong_credentials', 'not-applied'],
    [400, 'ExpiredToken', 'unavailable', 'credentials_expired', 'not-applied'],
    [400, 'AuthorizationHeaderMalformed', 'failed_precondition', 'wrong_region', 'not-applied'],
    [301, '', 'failed_precondition', 'wrong_region', 'not-applied'],
    [409, '', 'aborted', 'conflict', 'not-applied'],
    [412, 'PreconditionFailed', 'already_exists', 'already_exists', 'not-applied'],
    [412, '', 'already_exists', 'already_exists', 'not-applied'],
    [416, 'InvalidRange', 'data_loss', 'range_past_end', 'not-applied'],
    [503, 'SlowDown', 'unavailable', SLOW_DOWN_REASON, 'not-applied'],
    [503, '', 'unavailable', SLOW_DOWN_REASON, 'not-applied'],
    [429, '', 'unavailable', SLOW_DOWN_REASON, 'not-applied'],
    [400, 'XAmzContentSHA256Mismatch', 'unavailable', 'body_damaged', 'not-applied'],
    [500, 'InternalError', 'unavailable', 'store_unavailable', 'unknown'],
    [502, '', 'unavailable', 'store_unavailable', 'unknown'],
    [0, '', 'unavailable', 'store_unavailable', 'unknown'],
    [501, 'NotImplemented', 'unimplemented', 'unimplemented', 'not-applied'],
    [400, 'InvalidArgument', 'internal', 'store_refused', 'not-applied'],
  ]
  for (const [status, code, kind, reason, outcome] of cases) {
    const error = s3Error({ ...ACTION, status, code })
    assert.deepEqual([error.kind, error.reason, error.outcome], [kind, reason, outcome], `${status} ${code}`)
    assert.equal(s3Error({ ...ACTION, isWrite: false, status, code }).outcome, 'not-applied')
  }
})

test('a message says what was tried, what came back and what to do', () => {
  const error = s3Error({ ...ACTION, status: 404, code: 'NoSuchBucket', message: 'gone', retryAfterMs: 2_000 })
  assert.equal(error.message, 'cannot put objects/ab/X.cb: 404 NoSuchBucket gone; create the bucket first')
  assert.equal(error.retryAfterMs, 2_000)
})

test('error bodies of stores and of proxies are read without harm', () => {
  assert.deepEqual(parseErrorBody('<?xml?><Error><Code>SlowDown</Code><Message>Please wait</Message></Error>'), {
    code: 'SlowDown',
    message: 'Please wait',
  })
  assert.deepEqual(parseErrorBody('<html><h1>502 Bad Gateway</h1></html>'), { code: '', message: '' })
  assert.deepEqual(parseErrorBody(''), { code: '', message: '' })
  assert.equal(parseErrorBody(`<Code>${'x'.repeat(10_000)}</Code>`).code, '')
  assert.deepEqual(['3', undefined, 'Wed, 21 Oct 2026 07:28:00 GMT', '-1'].map(parseRetryAfterMs), [
    3_000,
    undefined,
    undefined,
    undefined,
  ])
})
