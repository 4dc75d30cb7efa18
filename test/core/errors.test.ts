import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CinderError, type ErrorKind, HTTP_STATUS_BY_KIND, invalidArgument, isRetryable } from '#core/errors.ts'

test('only errors that may pass are retryable, and none of them is the client’s fault', () => {
  const kinds = Object.keys(HTTP_STATUS_BY_KIND) as ErrorKind[]
  assert.deepEqual(kinds.filter(isRetryable).sort(), [
    'aborted',
    'deadline_exceeded',
    'resource_exhausted',
    'unavailable',
  ])
  for (const kind of kinds.filter(isRetryable)) assert.ok([409, 429, 503, 504].includes(HTTP_STATUS_BY_KIND[kind]))
})

test('an error carries what a caller needs to decide', () => {
  const cause = new Error('socket closed')
  const error = new CinderError('unavailable', 'store is away', { outcome: 'unknown', retryAfterMs: 1500, cause })
  assert.equal(error.kind, 'unavailable')
  assert.equal(error.reason, 'unavailable')
  assert.equal(error.outcome, 'unknown')
  assert.equal(error.retryAfterMs, 1500)
  assert.equal(error.cause, cause)
})

test('invalid input is not applied and names its reason', () => {
  const error = invalidArgument('17 samples, 16 are allowed', 'samples_limit')
  assert.equal(error.kind, 'invalid_argument')
  assert.equal(error.reason, 'samples_limit')
  assert.equal(error.outcome, 'not-applied')
})
