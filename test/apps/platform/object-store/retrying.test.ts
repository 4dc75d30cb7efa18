import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { Random } from '#core/ports/random.ts'
import { createClock } from '#platform/clock.ts'
import { deadlineStore } from '#platform/object-store/deadline.ts'
import { hedgingStore } from '#platform/object-store/hedging.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { createStorePace, retryingStore } from '#platform/object-store/retrying.ts'
import { assertFails, runObjectStoreContract } from '../../../contract/object-store.ts'
import { type FaultyStore, faultyStore, STORE_DOWN } from '../../../support/faulty-store.ts'
import { createManualClock, type ManualClock } from '../../../support/manual-clock.ts'

const slowDown = new CinderError('unavailable', 'slow down', { reason: 'slow_down' })
/** Every jitter is a half: a wait that happens to end with the deadline is no attempt. */
const random: Random = { bytes: (count) => new Uint8Array(count).fill(0x80) }
const body = new TextEncoder().encode('body')

runObjectStoreContract('hedged, retried and limited', async () => {
  const clock = createClock()
  const hedged = hedgingStore(createMemoryStore(), { clock })
  const pace = createStorePace()
  return deadlineStore(retryingStore(hedged, { clock, random, pace, patience: 'interactive' }), {
    clock,
    patience: 'interactive',
  })
})

interface Stack {
  readonly clock: ManualClock
  readonly faulty: FaultyStore
  readonly store: ObjectStore
  readonly pace: ReturnType<typeof createStorePace>
}

function createStack(patience: 'interactive' | 'background' = 'interactive'): Stack {
  const clock = createManualClock(1_000_000)
  const faulty = faultyStore(createMemoryStore())
  const pace = createStorePace()
  const store = deadlineStore(retryingStore(faulty, { clock, random, pace, patience }), { clock, patience })
  return { clock, faulty, store, pace }
}

/** Moves the clock until the call has an answer, and says how long that took. */
async function settle<T>({ clock }: Stack, call: Promise<T>): Promise<{ value?: T; error?: CinderError; ms: number }> {
  const startMs = clock.nowMs()
  const outcome: { value?: T; error?: CinderError; isSettled: boolean } = { isSettled: false }
  call.then(
    (value) => Object.assign(outcome, { value, isSettled: true }),
    (error: CinderError) => Object.assign(outcome, { error, isSettled: true }),
  )
  while (!outcome.isSettled && (await clock.advanceToNext()));
  assert.ok(outcome.isSettled, 'nothing sleeps, and there is no answer')
  return { ...outcome, ms: clock.nowMs() - startMs }
}

test('a store that fails a few times is asked again', async () => {
  const stack = createStack()
  stack.faulty.failNext('put', { ...STORE_DOWN, count: 3 })
  const { error, ms } = await settle(stack, stack.store.put('k', body))
  assert.equal(error, undefined)
  assert.ok(ms <= 50 + 100 + 200, `${ms} ms`)
  assert.deepEqual(await stack.store.get('k'), body)
})

test('a refusal is an answer: no second attempt', async () => {
  const stack = createStack()
  const denied = new CinderError('permission_denied', 'no')
  stack.faulty.failNext('delete', { error: denied, when: 'before', count: 2 })
  const { error } = await settle(stack, stack.store.delete('k'))
  assert.equal(error, denied)
  assert.equal(stack.faulty.pendingCount(), 1)
})

/** Of a store that fails the next 200 puts. */
function attemptsOf({ faulty }: Stack): number {
  return 200 - faulty.pendingCount()
}

for (const error of [STORE_DOWN.error, slowDown])
  test(`with the store down (${error.message}) writes are refused at once, and the first success lets all through (H16)`, async () => {
    const stack = createStack()
    const { clock, store } = stack
    await settle(stack, store.put('k', body))
    stack.faulty.failNext('put', { error, when: 'before', count: 200 })
    const first = await settle(stack, store.put('k', body))
    assert.equal(first.error?.kind, 'unavailable')
    assert.ok(first.ms <= 5_000, `known after ${first.ms} ms`)
    await clock.advance(500)
    const before = attemptsOf(stack)
    assert.ok(before <= 10, `${before} attempts`)
    const calls = await Promise.all(Array.from({ length: 50 }, () => settle(stack, store.put('k', body))))
    for (const { ms, error: refusal } of calls) {
      assert.equal(ms, 0)
      assert.deepEqual([refusal?.kind, refusal?.reason, refusal?.outcome], ['unavailable', 'store_away', 'not-applied'])
      assert.equal(refusal?.retryAfterMs, 1_000)
    }
    assert.equal(attemptsOf(stack), before + 1, 'one probe')
    assert.match(calls[1]!.error!.message, /^put k: the object store takes no writes, none has succeeded for \d s$/)
    for (let seconds = 0; seconds < 10; seconds++) {
      await clock.advance(1_000)
      for (let i = 0; i < 10; i++) await settle(stack, store.put('k', body))
    }
    assert.equal(attemptsOf(stack), before + 1 + 10, 'one a second, as they came')

    while (stack.faulty.pendingCount() > 0) await settle(stack, stack.faulty.put('k', body))
    await clock.advance(500)
    const back = [1, 2, 3].map((i) => settle(stack, store.put(`back/${i}`, body)))
    assert.deepEqual(
      (await Promise.all(back)).map(({ error: refusal }) => refusal?.reason),
      [undefined, 'store_away', 'store_away'],
    )
    for (let i = 0; i < 5; i++) assert.equal((await settle(stack, store.put(`all/${i}`, body))).error, undefined)
  })

test('who waits for a turn when the store is found to be away hears so at once, and reads go on', async () => {
  const stack = createStack()
  const { clock, store, pace } = stack
  await settle(stack, store.put('k', body))
  const error = new CinderError('unavailable', 'slow down', { reason: 'slow_down', retryAfterMs: 5_900 })
  stack.faulty.failNext('put', { error, when: 'before', count: 100 })
  const waiting = settle(stack, store.put('waits', body))
  await clock.advance(3_100)
  const startedMs = clock.nowMs() - 3_000
  for (let i = 0; i < 3; i++) pace.standing.onFailure({ startedMs, nowMs: clock.nowMs() })
  const { error: refusal, ms } = await waiting
  assert.equal(refusal?.reason, 'store_away')
  assert.ok(ms <= 3_600, `${ms} ms`)
  assert.deepEqual((await settle(stack, store.get('k'))).value, body)
  assert.equal((await settle(stack, store.delete('absent'))).error, undefined)
})

test('a slow-down of which some succeed is not an outage: nobody is refused', async () => {
  const stack = createStack()
  let puts = 0
  const busy: ObjectStore = {
    ...stack.faulty,
    async put(key, bytes) {
      if (++puts % 3 !== 0) throw slowDown
      return stack.faulty.put(key, bytes)
    },
  }
  const { clock, pace } = stack
  const patient = { clock, patience: 'interactive' } as const
  const store = deadlineStore(retryingStore(busy, { ...patient, random, pace }), patient)
  for (let i = 0; i < 30; i++) assert.equal((await settle(stack, store.put(`k${i}`, body))).error, undefined)
  assert.equal(pace.standing.isAway, false)
})

test('a call that is patient is not refused, and its success lets the others through', async () => {
  const stack = createStack('background')
  const { clock, pace } = stack
  for (let i = 0; i < 3; i++) pace.standing.onFailure({ startedMs: clock.nowMs() - 3_000, nowMs: clock.nowMs() })
  assert.equal(pace.standing.isAway, true)
  assert.equal((await settle(stack, stack.store.put('k', body))).error, undefined)
  assert.equal(pace.standing.isAway, false)
})

test('attempts that stall are given up one by one, and the whole ends at its one deadline (H17)', async () => {
  const stack = createStack()
  for (let i = 0; i < 5; i++) stack.faulty.stallNext('put')
  const { error, ms } = await settle(stack, stack.store.put('k', body))
  assert.equal(ms, 6_000)
  assert.deepEqual([error?.kind, error?.reason, error?.outcome], ['unavailable', 'store_deadline', 'unknown'])
  assert.match(error!.message, /did not do it within 6000 ms/)

  const once = createStack()
  once.faulty.stallNext('put')
  const second = await settle(once, once.store.put('k', body))
  assert.equal(second.error, undefined)
  assert.ok(second.ms >= 2_400 && second.ms <= 2_450, `${second.ms} ms`)
})

test('a minute of slow-downs lowers the rate, fails no patient call, and is no tight loop (H22)', async () => {
  const stack = createStack('background')
  // One a second before: what is halved.
  for (let i = 0; i < 8; i++) await settle(stack, stack.store.put(`before/${i}`, body))
  const endMs = stack.clock.nowMs() + 60_000
  let asked = 0
  const slow: ObjectStore = {
    ...stack.faulty,
    async put(key, bytes) {
      asked++
      if (stack.clock.nowMs() < endMs) throw slowDown
      return stack.faulty.put(key, bytes)
    },
  }
  const { clock, pace } = stack
  const patient = { clock, patience: 'background' } as const
  const store = deadlineStore(retryingStore(slow, { ...patient, random, pace }), patient)
  const calls = Promise.all(Array.from({ length: 8 }, (_, i) => store.put(`k${i}`, body)))
  const { error, ms } = await settle(stack, calls)
  assert.equal(error, undefined)
  assert.ok(ms >= 60_000 && ms < 75_000, `${ms} ms`)
  // Without the limiter: 8 callers at two attempts a second and more, about 600 in all.
  assert.ok(asked <= 100 + 8, `${asked} requests in a minute`)
})

test('an impatient call ends while the store asks for patience, and says that it may be tried again', async () => {
  const stack = createStack()
  stack.faulty.failNext('put', { error: slowDown, when: 'before', count: 1_000 })
  const { error, ms } = await settle(stack, stack.store.put('k', body))
  assert.equal(error?.kind, 'unavailable')
  assert.ok(ms <= 6_000, `${ms} ms`)
})

test('Retry-After is obeyed', async () => {
  const stack = createStack()
  const error = new CinderError('unavailable', 'busy', { retryAfterMs: 3_000 })
  stack.faulty.failNext('get', { error, when: 'before' })
  await stack.faulty.put('k', body)
  const { value, ms } = await settle(stack, stack.store.get('k'))
  assert.deepEqual(value, body)
  assert.equal(ms, 3_000)
})

const lost = new CinderError('unavailable', 'the answer was lost', { outcome: 'unknown' })

test('a put-if-absent whose answer was lost: our own object is a success, that of a rival is not', async () => {
  const stack = createStack()
  stack.faulty.failNext('putIfAbsent', { error: lost, when: 'after' })
  assert.equal((await settle(stack, stack.store.putIfAbsent('ours', body))).error, undefined)

  await stack.faulty.put('theirs', new TextEncoder().encode('rival'))
  stack.faulty.failNext('putIfAbsent', { error: lost, when: 'before' })
  const { error } = await settle(stack, stack.store.putIfAbsent('theirs', body))
  assert.deepEqual([error?.kind, error?.outcome], ['already_exists', 'unknown'])

  await stack.faulty.put('equal', body)
  await assertFails(() => stack.store.putIfAbsent('equal', body), 'already_exists')
})

test('a write that failed after an attempt without an answer says that it may have happened', async () => {
  const stack = createStack()
  stack.faulty.failNext('put', { error: lost, when: 'after' })
  stack.faulty.failNext('put', { error: new CinderError('permission_denied', 'no'), when: 'before' })
  const { error } = await settle(stack, stack.store.put('k', body))
  assert.deepEqual([error?.kind, error?.outcome], ['permission_denied', 'unknown'])
})

test('a damaged body is asked for again, three times at most', async () => {
  const stack = createStack()
  await stack.faulty.put('k', body)
  const damaged = new CinderError('data_loss', 'damaged', { reason: 'body_damaged' })
  stack.faulty.failNext('get', { error: damaged, when: 'before', count: 2 })
  assert.deepEqual((await settle(stack, stack.store.get('k'))).value, body)
  stack.faulty.failNext('get', { error: damaged, when: 'before', count: 3 })
  assert.equal((await settle(stack, stack.store.get('k'))).error, damaged)
  assert.equal(stack.faulty.pendingCount(), 0)
})

test('a caller that goes ends the waits', async () => {
  const stack = createStack()
  stack.faulty.failNext('get', { error: new CinderError('unavailable', 'x', { retryAfterMs: 9_000 }), when: 'before' })
  const controller = new AbortController()
  const call = settle(stack, stack.store.get('k', { signal: controller.signal }))
  controller.abort()
  const { error, ms } = await call
  assert.equal(error?.kind, 'canceled')
  assert.equal(ms, 0)
  await assertFails(() => stack.store.get('k', { signal: AbortSignal.abort() }), 'canceled')
})

test('nothing sleeps on once calls have their answers', async () => {
  const stack = createStack()
  await stack.store.put('k', body)
  await stack.store.get('k')
  await assertFails(() => stack.store.get('absent'), 'not_found')
  assert.equal(stack.clock.sleeperCount(), 0)
})
