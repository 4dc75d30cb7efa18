import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { type Bucket, fullBucket, takeTokens } from '#core/limits/token-bucket.ts'

const LIMITS = { ratePerSecond: 1_000, burst: 500 }

test('tokens are taken, refused with the time to wait, and earned back', () => {
  let bucket = fullBucket(LIMITS, 0)
  const first = takeTokens(bucket, LIMITS, 400, 0)
  assert.ok(first.allowed)
  assert.equal(first.bucket.tokens, 100)
  const second = takeTokens(first.bucket, LIMITS, 300, 50)
  assert.equal(second.allowed, false)
  // 150 tokens are there after 50 ms, 150 are missing: 150 ms.
  assert.equal((second as { retryAfterMs: number }).retryAfterMs, 150)
  bucket = second.bucket
  assert.equal(takeTokens(bucket, LIMITS, 300, 199).allowed, false)
  assert.equal(takeTokens(bucket, LIMITS, 300, 200).allowed, true)
})

test('the bucket never holds more than the burst', () => {
  const rested = takeTokens(fullBucket(LIMITS, 0), LIMITS, 500, 1_000_000)
  assert.ok(rested.allowed)
  assert.equal(rested.bucket.tokens, 0)
})

test('a request above the burst passes a full bucket and leaves a debt', () => {
  const big = takeTokens(fullBucket(LIMITS, 0), LIMITS, 2_000, 0)
  assert.ok(big.allowed)
  assert.equal(big.bucket.tokens, -1_500)
  const next = takeTokens(big.bucket, LIMITS, 1, 0)
  assert.equal((next as { retryAfterMs: number }).retryAfterMs, 1_501)
  const again = takeTokens(big.bucket, LIMITS, 2_000, 1_999)
  assert.equal((again as { retryAfterMs: number }).retryAfterMs, 1)
  assert.equal(takeTokens(big.bucket, LIMITS, 2_000, 2_000).allowed, true)
})

test('rate 0 is no limit; burst 0 is one second of the rate', () => {
  const off = { ratePerSecond: 0, burst: 5 }
  assert.ok(takeTokens(fullBucket(off, 0), off, 1e12, 0).allowed)
  assert.equal(fullBucket({ ratePerSecond: 70, burst: 0 }, 0).tokens, 70)
})

test('a clock that was set back gives nothing, and earning goes on from there: nobody waits for the old time', () => {
  const spent = takeTokens(fullBucket(LIMITS, 1_000), LIMITS, 500, 1_000)
  const back = takeTokens(spent.bucket, LIMITS, 100, 500)
  assert.equal(back.allowed, false)
  assert.equal(back.bucket.tokens, 0)
  assert.equal(takeTokens(back.bucket, LIMITS, 100, 599).allowed, false)
  assert.equal(takeTokens(back.bucket, LIMITS, 100, 600).allowed, true)
})

test('property: what passes in any span is at most burst + rate * span + one request above the burst', () => {
  const step = fc.record({ waitMs: fc.nat(300), count: fc.nat(900) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      let bucket: Bucket = fullBucket(LIMITS, 0)
      let nowMs = 0
      let passed = 0
      for (const { waitMs, count } of steps) {
        nowMs += waitMs
        const result = takeTokens(bucket, LIMITS, count, nowMs)
        bucket = result.bucket
        if (result.allowed) passed += count
        else {
          assert.ok(result.retryAfterMs > 0)
          assert.ok(
            takeTokens(bucket, LIMITS, count, nowMs + result.retryAfterMs).allowed,
            'the answer about waiting is right',
          )
        }
        assert.ok(passed <= LIMITS.burst + (LIMITS.ratePerSecond * nowMs) / 1_000 + 400 + 1e-6)
      }
    }),
  )
})
