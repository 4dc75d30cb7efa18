/** How long a writer that is told to stop goes on accepting. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createHandOver, HAND_OVER_MAX_MS, QUIET_MS } from '../../../apps/segment-writer/hand-over.ts'
import type { Registration, RegistrationStatus } from '../../../apps/segment-writer/registration.ts'
import type { Clock } from '#core/ports/clock.ts'
import { STOP_BOUND_MS } from '#platform/service.ts'
import { createManualClock, idle } from '../../support/manual-clock.ts'

function setUp(state: RegistrationStatus['state'] = 'serving') {
  const clock = createManualClock(1_000_000)
  const published = Promise.withResolvers<void>()
  const scene = { left: 0, isStopped: false }
  const registration: Registration = {
    name: 'registration',
    start() {},
    leave() {
      scene.left++
      return published.promise
    },
    stop: async () => undefined,
    status: () => ({ state, isRegistered: true, epoch: 1, generation: 1 }),
  }
  const handOver = createHandOver(registration, clock)
  const writer = handOver.watch({ write: async () => ({ verdicts: [] }) })
  const push = () => writer.write({ tenant: 'acme', series: [] })
  const stop = async () => {
    void handOver.stop().then(() => (scene.isStopped = true))
    await idle()
  }
  return { clock, scene, handOver, push, stop, published, registration }
}

test('it says that it leaves, and is not ready any more, while it still accepts', async () => {
  const { scene, handOver, push, stop } = setUp()
  assert.equal(handOver.missing(), undefined)
  await stop()
  assert.equal(scene.left, 1)
  assert.match(handOver.missing()!, /leaving/)
  assert.deepEqual(await push(), { verdicts: [] })
  assert.equal(scene.isStopped, false)
})

test('without pushes it ends soon after that was published', async () => {
  const { clock, scene, stop, published } = setUp()
  await stop()
  await clock.advance(QUIET_MS)
  assert.equal(scene.isStopped, false, 'nobody knows yet')
  published.resolve()
  await idle()
  assert.equal(scene.isStopped, true)
})

test('pushes keep it until edges had the time to learn of it', async () => {
  const { clock, scene, push, stop, published } = setUp()
  published.resolve()
  await stop()
  let waitedMs = 0
  while (!scene.isStopped) {
    await push()
    await clock.advance(QUIET_MS / 3)
    waitedMs += QUIET_MS / 3
    assert.ok(waitedMs <= HAND_OVER_MAX_MS, 'it ends')
  }
  assert.equal(waitedMs, HAND_OVER_MAX_MS)
  assert.ok(HAND_OVER_MAX_MS < STOP_BOUND_MS / 2, 'which leaves the rest of the stop its half')
})

test('a clock that is set back makes it wait no longer', async () => {
  const { published, registration } = setUp()
  const waits: number[] = []
  let nowMs = 1_000_000_000
  const set: Clock = {
    nowMs: () => nowMs,
    async sleep(durationMs) {
      waits.push(durationMs)
      // By an hour, once: then it goes on.
      nowMs += waits.length === 1 ? -3_600_000 : durationMs
    },
  }
  published.resolve()
  await createHandOver(registration, set).stop()
  assert.ok(waits.reduce((sum, waitMs) => sum + waitMs, 0) <= HAND_OVER_MAX_MS, String(waits))
})

test('when they end it goes', async () => {
  const { clock, scene, push, stop, published } = setUp()
  published.resolve()
  await stop()
  await clock.advance(200)
  await push()
  await clock.advance(QUIET_MS - 1)
  assert.equal(scene.isStopped, false)
  await clock.advance(1)
  assert.equal(scene.isStopped, true)
})

test('a writer that nobody was told of waits for nobody', async () => {
  const { scene, stop, published } = setUp('idle')
  published.resolve()
  await stop()
  assert.equal(scene.isStopped, true)
})
