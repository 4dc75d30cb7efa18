import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TenantRates } from '../../../apps/segment-writer/tenant-rates.ts'
import { CinderError } from '#core/errors.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'

const ratesOf = (ingestionRateBytes: number, ingestionBurstBytes: number) =>
  new TenantRates(() => ({ ...DEFAULT_LIMITS, ingestionRateBytes, ingestionBurstBytes }))

function refusal(rates: TenantRates, tenant: string, bytes: number, nowMs: number): CinderError | undefined {
  try {
    rates.take(tenant, bytes, nowMs)
    return undefined
  } catch (error) {
    assert.ok(error instanceof CinderError)
    return error
  }
}

test('a tenant may use its burst, then its rate; each has its own', () => {
  const rates = ratesOf(1_000, 5_000)
  assert.equal(refusal(rates, 'a', 5_000, 0), undefined)
  const refused = refusal(rates, 'a', 500, 0)
  assert.deepEqual([refused?.kind, refused?.reason, refused?.retryAfterMs], ['resource_exhausted', 'rate_limited', 500])
  assert.equal(refusal(rates, 'b', 5_000, 0), undefined)
  assert.ok(refusal(rates, 'a', 500, 499))
  assert.equal(refusal(rates, 'a', 500, 500), undefined)
})

test('rate 0 is no limit', () => {
  const rates = ratesOf(0, 0)
  for (let i = 0; i < 10; i++) assert.equal(refusal(rates, 'a', 2 ** 40, 0), undefined)
})

test('tenants are remembered up to a bound, those seen last longest', () => {
  const rates = ratesOf(1, 100)
  rates.take('first', 100, 0)
  rates.take('kept', 100, 0)
  for (let i = 0; i < 9_998; i++) rates.take(`t${i}`, 1, 0)
  assert.ok(refusal(rates, 'kept', 1, 0), 'still remembered, and seen again')
  rates.take('one-more', 1, 0)
  assert.ok(refusal(rates, 'kept', 1, 0))
  assert.equal(refusal(rates, 'first', 100, 0), undefined, 'forgotten: a full bucket')
})

test('what was taken by a guess is corrected: the next ones pay or gain', () => {
  const rates = new TenantRates(() => ({ ...DEFAULT_LIMITS, ingestionRateBytes: 100, ingestionBurstBytes: 1_000 }))
  rates.take('a', 100, 0)
  rates.correct('a', 1_400, 0)
  assert.throws(() => rates.take('a', 1, 0), { reason: 'rate_limited', retryAfterMs: 5_010 })
  rates.correct('a', -1_400, 0)
  rates.take('a', 900, 0)
  assert.throws(() => rates.take('a', 1, 0), { reason: 'rate_limited' })
  rates.take('b', 1_000, 0)
})
