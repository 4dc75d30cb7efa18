import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { TenantBackoff } from '../../../apps/distributor/tenant-backoff.ts'

function limited(retryAfterMs?: number): CinderError {
  return new CinderError('resource_exhausted', 'rate', retryAfterMs === undefined ? {} : { retryAfterMs })
}

test('a refusal holds exactly as long as the writer said, a minute at most', () => {
  const backoff = new TenantBackoff()
  backoff.note('a', limited(500), 1_000)
  assert.equal(backoff.refusal('a', 1_499)?.retryAfterMs, 1)
  assert.equal(backoff.refusal('a', 1_500), undefined)
  backoff.note('a', limited(10 * 60_000), 0)
  assert.equal(backoff.refusal('a', 59_999)?.retryAfterMs, 1)
  assert.equal(backoff.refusal('a', 60_000), undefined)
  backoff.note('a', limited(500), 3_600_000)
  assert.equal(backoff.refusal('a', 0), undefined, 'the clock was set back an hour')
})

test('only refusals of the tenant that say when to retry are noted', () => {
  const backoff = new TenantBackoff()
  backoff.note('a', limited(), 0)
  backoff.note('b', new CinderError('unavailable', 'm', { retryAfterMs: 500 }), 0)
  assert.equal(backoff.refusal('a', 0), undefined)
  assert.equal(backoff.refusal('b', 0), undefined)
})

test('a share of one writer that is used up does not hold what goes to others', () => {
  const backoff = new TenantBackoff()
  backoff.note('a', new CinderError('resource_exhausted', 'm', { reason: 'rate_share', retryAfterMs: 500 }), 0)
  assert.equal(backoff.refusal('a', 0), undefined)
})

test('a full table forgets the oldest', () => {
  const backoff = new TenantBackoff(2)
  for (const tenant of ['a', 'b', 'a', 'c']) backoff.note(tenant, limited(1_000), 0)
  assert.equal(backoff.refusal('b', 1), undefined)
  assert.ok(backoff.refusal('a', 1))
  assert.ok(backoff.refusal('c', 1))
})
