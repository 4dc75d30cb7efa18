import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Deadlines } from '../../../apps/segment-writer/deadlines.ts'
import { createManualClock, idle } from '../../support/manual-clock.ts'

const AFTER_MS = 8_000

function setUp() {
  const clock = createManualClock(1_000_000)
  const deadlines = new Deadlines(clock, AFTER_MS, () => new Error('late'))
  /** What became of the work, `waiting` so far. */
  const wait = (work: Promise<string>) => {
    const seen = { outcome: 'waiting' }
    deadlines.within(work).then(
      (result) => (seen.outcome = result),
      (error: Error) => (seen.outcome = error.message),
    )
    return seen
  }
  return { clock, wait }
}

test('work in time comes to what it comes to, and leaves no timer', async () => {
  const { clock, wait } = setUp()
  const done = Promise.withResolvers<string>()
  const failed = Promise.withResolvers<string>()
  const seen = [wait(done.promise), wait(failed.promise)]
  await clock.advance(AFTER_MS - 1)
  assert.equal(clock.sleeperCount(), 1, 'one timer for all')
  done.resolve('done')
  failed.reject(new Error('failed'))
  await idle()
  assert.deepEqual(
    seen.map(({ outcome }) => outcome),
    ['done', 'failed'],
  )
  assert.equal(clock.sleeperCount(), 0)
})

test('each is late after its own time, with one timer', async () => {
  const { clock, wait } = setUp()
  const { promise: never } = Promise.withResolvers<string>()
  const first = wait(never)
  await clock.advance(3_000)
  const between = Promise.withResolvers<string>()
  const second = wait(between.promise)
  await clock.advance(2_000)
  const third = wait(never)
  assert.equal(clock.sleeperCount(), 1)
  const outcomes = () => [first, second, third].map(({ outcome }) => outcome)
  await clock.advance(2_999)
  assert.deepEqual(outcomes(), ['waiting', 'waiting', 'waiting'])
  await clock.advance(1)
  assert.deepEqual(outcomes(), ['late', 'waiting', 'waiting'])
  between.resolve('done')
  await clock.advance(4_999)
  assert.deepEqual(outcomes(), ['late', 'done', 'waiting'])
  await clock.advance(1)
  assert.deepEqual(outcomes(), ['late', 'done', 'late'])
  assert.equal(clock.sleeperCount(), 0)
})

test('nobody waits longer because the clock was set back', async () => {
  const { clock, wait } = setUp()
  const { promise: never } = Promise.withResolvers<string>()
  const before = wait(never)
  await clock.advance(4_000)
  // An hour back: what is asked from now on lies before those that wait.
  const real = clock.nowMs
  clock.nowMs = () => real() - 3_600_000
  const after = wait(never)
  await clock.advance(4_000)
  assert.deepEqual([before.outcome, after.outcome], ['late', 'waiting'])
  await clock.advance(4_000)
  assert.equal(after.outcome, 'late')
})
