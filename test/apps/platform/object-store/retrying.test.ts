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

const slowDown = new CinderError('unavailable', 'slow down', { reason: 'slow_down' })

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

test('with the store down calls soon fail after their first attempt, and the first success is enough to go on (H16)', async () => {
  const stack = createStack()
  stack.faulty.failNext('put', { ...STORE_DOWN, count: 200 })
  let calls = 0
  for (; calls < 20; calls++) assert.equal((await settle(stack, stack.store.put('k', body))).error?.kind, 'unavailable')
  const attempts = 200 - stack.faulty.pendingCount()
  assert.equal(attempts, calls + 20, 'twenty retries in all, then none')
  const { ms } = await settle(stack, stack.store.put('k', body))
  assert.equal(ms, 0)
  while (stack.faulty.pendingCount() > 0) await settle(stack, stack.store.put('k', body))
  assert.equal((await settle(stack, stack.store.put('k', body))).error, undefined)
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
