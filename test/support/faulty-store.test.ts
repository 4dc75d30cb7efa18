import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { assertFails, runObjectStoreContract } from '../contract/object-store.ts'
import { faultyStore, STORE_DOWN } from './faulty-store.ts'

runObjectStoreContract('faulty, with no fault planned', async () => faultyStore(createMemoryStore()))

test('a fault before the call stores nothing, one after it stores and loses the answer', async () => {
  const store = faultyStore(createMemoryStore())
  store.failNext('put', { ...STORE_DOWN, count: 2 })
  await assertFails(() => store.put('k', new Uint8Array(1)), 'unavailable')
  await assertFails(() => store.put('k', new Uint8Array(1)), 'unavailable')
  assert.equal(await store.head('k'), undefined)
  store.failNext('put', { ...STORE_DOWN, when: 'after' })
  await assertFails(() => store.put('k', new Uint8Array(1)), 'unavailable')
  assert.deepEqual(await store.head('k'), { sizeBytes: 1 })
  assert.equal(store.pendingCount(), 0)
})

test('a stalled call waits for its release; other calls pass', async () => {
  const store = faultyStore(createMemoryStore())
  const stall = store.stallNext('put')
  const put = store.put('k', new Uint8Array(1))
  await stall.reached
  assert.equal(await store.head('k'), undefined)
  stall.release()
  await put
  assert.deepEqual(await store.head('k'), { sizeBytes: 1 })
})
