import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createClock } from '#platform/clock.ts'

const clock = createClock()

test('nowMs is Unix time', () => {
  const before = Date.now()
  const now = clock.nowMs()
  assert.ok(now >= before && now <= Date.now())
})

test('a sleep lasts as long as it says', async () => {
  const startedMs = performance.now()
  await clock.sleep(20)
  assert.ok(performance.now() - startedMs >= 19)
})

test('a sleep ends at once when its signal aborts, before or during it', async () => {
  await clock.sleep(3_600_000, AbortSignal.abort())
  const controller = new AbortController()
  const sleep = clock.sleep(3_600_000, controller.signal)
  controller.abort()
  await sleep
})
