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

/** Told once, so that the next reading has a time behind it. */
function begun(rates: TenantRates): TenantRates {
  assert.deepEqual(rates.readDemands(0), [])
  return rates
}

test('what arrives is told in units of the limit, refused pushes included; what has no limit is not', () => {
  const rates = begun(
    new TenantRates((tenant) => ({
      ...DEFAULT_LIMITS,
      ingestionRateBytes: tenant === 'free' ? 0 : 1_000,
      ingestionBurstBytes: 1_000,
    })),
  )
  rates.take('a', 1_000, 0)
  assert.ok(refusal(rates, 'a', 9_000, 0))
  rates.take('free', 1_000, 0)
  // Half of it, as the half-life says: 10,000 bytes in five seconds are twice the limit.
  assert.deepEqual(rates.readDemands(5_000), [{ tenant: 'a', load: 1 }])
  assert.deepEqual(rates.readDemands(10_000), [{ tenant: 'a', load: 0.5 }])
})

test('a writer takes what others leave of the limit, then its share; alone it has all again', () => {
  const rates = begun(ratesOf(1_000, 1_000))
  rates.take('a', 1_000, 0)
  rates.correct('a', 5_000, 0)
  const [told] = rates.readDemands(5_000)
  assert.ok(Math.abs(told!.load - 0.6) < 1e-9)
  rates.adopt([{ tenant: 'a', load: 0.3, writers: 2 }])
  // The debt of 5,000 is paid at 700 a second.
  const slack = refusal(rates, 'a', 500, 6_000)
  assert.deepEqual([slack?.reason, slack?.retryAfterMs], ['rate_share', 1_858])
  assert.match(
    slack!.message,
    /ingestionRateBytes: 1000 bytes\/s.*share is 700 bytes\/s, the tenant sends 900 bytes\/s/,
  )
  rates.adopt([{ tenant: 'a', load: 2.4, writers: 2 }])
  assert.equal(refusal(rates, 'a', 500, 6_000)?.reason, 'rate_limited')
  rates.adopt(undefined)
  assert.match(refusal(rates, 'a', 500, 6_000)!.message, /share is 230 bytes\/s/, 'not known: the last stays')
  rates.adopt([])
  const alone = refusal(rates, 'a', 5_000, 6_000)
  assert.doesNotMatch(alone!.message, /share/)
})

test('no refusal by a share is for longer than shares stay', () => {
  const rates = begun(ratesOf(1_000, 1_000))
  rates.take('a', 1_000, 0)
  rates.readDemands(5_000)
  rates.adopt([{ tenant: 'a', load: 100, writers: 500 }])
  rates.take('a', 1_000, 5_000)
  assert.equal(refusal(rates, 'a', 1_000, 5_000)?.retryAfterMs, 5_000)
})
