import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AimdRate, RATE_MIN, RATE_RELEASE, WAIT_MAX_MS } from '#core/store/aimd-rate.ts'

/** A second of requests, evenly spread. */
function send(rate: AimdRate, startMs: number, requests: number): void {
  for (let i = 0; i < requests; i++) rate.reserve(startMs + (i * 1000) / requests)
}

test('without a slow-down nothing waits', () => {
  const rate = new AimdRate()
  for (let i = 0; i < 100_000; i++) assert.equal(rate.reserve(5_000), 0)
  assert.equal(rate.perSecond, Number.POSITIVE_INFINITY)
})

test('the first slow-down halves what was sent, and answers of one second are one signal', () => {
  const rate = new AimdRate()
  send(rate, 0, 400)
  rate.onSlowDown(1_000)
  assert.equal(rate.perSecond, 200)
  for (let i = 0; i < 50; i++) rate.onSlowDown(1_500)
  assert.equal(rate.perSecond, 200)
  rate.onSlowDown(2_000)
  assert.equal(rate.perSecond, 100)
})

test('requests are spread over time at the rate', () => {
  const rate = new AimdRate()
  send(rate, 0, 20)
  rate.onSlowDown(1_000)
  assert.equal(rate.perSecond, 10)
  assert.deepEqual([rate.reserve(1_000), rate.reserve(1_000), rate.reserve(1_050)], [100, 200, 250])
})

test('a wait without end is refused and takes no slot', () => {
  const rate = new AimdRate()
  send(rate, 0, 2)
  rate.onSlowDown(1_000)
  assert.equal(rate.perSecond, RATE_MIN)
  let taken = 0
  while (rate.reserve(1_000) !== undefined) taken++
  assert.equal(taken, WAIT_MAX_MS / 1000)
  assert.equal(rate.reserve(1_000), undefined)
  assert.equal(rate.reserve(2_000), WAIT_MAX_MS - 1_000 + 1_000)
})

test('the rate grows by ten a second until the limit is gone', () => {
  const rate = new AimdRate()
  send(rate, 0, 400)
  rate.onSlowDown(1_000)
  rate.reserve(1_999)
  assert.equal(rate.perSecond, 200)
  rate.reserve(4_000)
  assert.equal(rate.perSecond, 230)
  const secondsToRelease = Math.ceil((RATE_RELEASE - 230) / 10) + 1
  rate.reserve(4_000 + secondsToRelease * 1_000)
  assert.equal(rate.perSecond, Number.POSITIVE_INFINITY)
})

test('a store that bears twenty a second: the rate falls to about that, and comes back after', () => {
  const rate = new AimdRate()
  const bearable = 20
  const sentBySecond = new Map<number, number>()
  // One caller that sends, hears at once, and sends again.
  for (let nowMs = 0; nowMs < 60_000; nowMs++) {
    nowMs += rate.reserve(nowMs)!
    const second = Math.floor(nowMs / 1_000)
    const sent = (sentBySecond.get(second) ?? 0) + 1
    sentBySecond.set(second, sent)
    if (sent > bearable) rate.onSlowDown(nowMs)
  }
  const later = [...sentBySecond].filter(([second]) => second > 10).map(([, sent]) => sent)
  assert.ok(Math.max(...later) <= 3 * bearable, `up to ${Math.max(...later)} a second`)
  const mean = later.reduce((sum, sent) => sum + sent, 0) / later.length
  assert.ok(mean > bearable / 2, `${mean} a second on average`)
  rate.reserve(700_000)
  assert.equal(rate.perSecond, Number.POSITIVE_INFINITY)
})
