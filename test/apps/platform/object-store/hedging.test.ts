import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import type { ObjectStore, StoreCallOptions } from '#core/ports/object-store.ts'
import { WRITE_HEDGE, READ_HEDGE } from '#core/store/hedge-policy.ts'
import { hedgingStore } from '#platform/object-store/hedging.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { assertFails } from '../../../contract/object-store.ts'
import { createManualClock, idle } from '../../../support/manual-clock.ts'

const body = new TextEncoder().encode('body')

/** A store whose answers wait for the test; it remembers who was canceled. */
function createHeldStore() {
  const memory = createMemoryStore()
  const calls: { release: (error?: CinderError) => void; signal: AbortSignal | undefined }[] = []
  const hold = async <T>(options: StoreCallOptions | undefined, run: () => Promise<T>): Promise<T> => {
    const released = Promise.withResolvers<void>()
    calls.push({
      release: (error) => (error === undefined ? released.resolve() : released.reject(error)),
      signal: options?.signal,
    })
    await released.promise
    return run()
  }
  const store: ObjectStore = {
    ...memory,
    put: (key, bytes, options) => hold(options, () => memory.put(key, bytes)),
    getRange: (key, offset, lengthBytes, options) => hold(options, () => memory.getRange(key, offset, lengthBytes)),
    get: (key, options) => hold(options, () => memory.get(key)),
    putIfAbsent: (key, bytes, options) => hold(options, () => memory.putIfAbsent(key, bytes)),
  }
  return { memory, calls, store }
}

function createStack() {
  const clock = createManualClock(0)
  const held = createHeldStore()
  return { clock, ...held, hedged: hedgingStore(held.store, { clock }) }
}

test('a put that stalls gets a second copy, which answers; the first is canceled (H17)', async () => {
  const { clock, calls, hedged, memory } = createStack()
  const put = hedged.put('k', body)
  await clock.advance(WRITE_HEDGE.initialMs - 1)
  assert.equal(calls.length, 1)
  await clock.advance(2)
  assert.equal(calls.length, 2)
  calls[1]!.release()
  await put
  assert.deepEqual(await memory.get('k'), body)
  assert.equal(calls[0]!.signal?.aborted, true)
  assert.deepEqual(hedged.hedging, { hedges: 1, wins: 1 })
})

test('the first copy may still win', async () => {
  const { clock, calls, hedged } = createStack()
  const put = hedged.put('k', body)
  await clock.advance(WRITE_HEDGE.initialMs + 1)
  calls[0]!.release()
  await put
  assert.equal(calls[1]!.signal?.aborted, true)
  assert.deepEqual(hedged.hedging, { hedges: 1, wins: 0 })
})

test('one copy that fails leaves the other; both failing is the error of the first', async () => {
  const { clock, calls, hedged, memory } = createStack()
  await memory.put('k', body)
  const error = (text: string) => new CinderError('unavailable', text)
  const saved = hedged.getRange('k', 0, body.length)
  await clock.advance(READ_HEDGE.initialMs + 1)
  calls[0]!.release(error('first'))
  await idle()
  calls[1]!.release()
  assert.deepEqual(await saved, body)

  const failed = hedged.getRange('k', 0, body.length)
  await clock.advance(READ_HEDGE.initialMs + 1)
  calls[3]!.release(error('second'))
  await idle()
  calls[2]!.release(error('first'))
  assert.equal((await assertFails(() => failed, 'unavailable')).message, 'second')
})

test('an answer or a failure before the delay sends no second copy', async () => {
  const { clock, calls, hedged } = createStack()
  const put = hedged.put('k', body)
  calls[0]!.release()
  await put
  const failing = assertFails(() => hedged.put('k', body), 'unavailable')
  calls[1]!.release(new CinderError('unavailable', 'x'))
  await failing
  await clock.advance(60_000)
  assert.equal(calls.length, 2)
  assert.equal(clock.sleeperCount(), 0)
})

test('a put-if-absent is never sent twice, nor is a get of unknown size', async () => {
  const { clock, calls, hedged } = createStack()
  const put = hedged.putIfAbsent('k', body)
  await clock.advance(60_000)
  assert.equal(calls.length, 1)
  calls[0]!.release()
  await put
  const get = hedged.get('k')
  await clock.advance(60_000)
  assert.equal(calls.length, 2)
  calls[1]!.release()
  assert.deepEqual(await get, body)
})

test('with everything slow, second copies stay within their budget', async () => {
  const { clock, calls, hedged, memory } = createStack()
  await memory.put('k', body)
  for (let i = 0; i < 200; i++) {
    const get = hedged.getRange('k', 0, body.length)
    await clock.advance(READ_HEDGE.mostMs + 1)
    for (const { release } of calls.splice(0)) release()
    await get
  }
  // Ten saved up, and one in twenty.
  assert.ok(hedged.hedging.hedges <= 20, `${hedged.hedging.hedges} hedges`)
  assert.ok(hedged.hedging.hedges >= 10)
})

test('a store that asks for fewer requests gets no second copies', async () => {
  const { clock, calls, hedged, memory } = createStack()
  await memory.put('k', body)
  const slow = assertFails(() => hedged.getRange('k', 0, body.length), 'unavailable')
  calls[0]!.release(new CinderError('unavailable', 'slow down', { reason: 'slow_down' }))
  await slow
  const get = hedged.getRange('k', 0, body.length)
  await clock.advance(60_000)
  assert.equal(calls.length, 2)
  calls[1]!.release()
  await get
})

test('a caller that goes cancels every copy', async () => {
  const { clock, calls, hedged } = createStack()
  const controller = new AbortController()
  const get = hedged.getRange('k', 0, body.length, { signal: controller.signal })
  await clock.advance(READ_HEDGE.initialMs + 1)
  controller.abort()
  assert.deepEqual(
    calls.map(({ signal }) => signal?.aborted),
    [true, true],
  )
  for (const { release } of calls) release(new CinderError('canceled', 'gone'))
  await assertFails(() => get, 'canceled')
})
