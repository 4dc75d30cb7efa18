import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { StoreHealth } from '#core/store/store-health.ts'
import { createClock } from '#platform/clock.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { observedStore } from '#platform/object-store/observed.ts'
import { assertFails, runObjectStoreContract } from '../../../contract/object-store.ts'
import { faultyStore } from '../../../support/faulty-store.ts'
import { createManualClock } from '../../../support/manual-clock.ts'

runObjectStoreContract('observed', async () =>
  observedStore(createMemoryStore(), { clock: createClock(), health: new StoreHealth() }),
)

test('a full disk is news at once, until something is written; reads and deletes say nothing of it', async () => {
  const health = new StoreHealth()
  const faulty = faultyStore(createMemoryStore())
  const store = observedStore(faulty, { clock: createManualClock(5_000), health })
  await store.put('k', new Uint8Array(1))
  const full = new CinderError('unavailable', 'put k: ENOSPC: no space left on device', { reason: 'storage_full' })
  faulty.failNext('put', { error: full, when: 'before' })
  await assertFails(() => store.put('k', new Uint8Array(1)), 'unavailable')
  assert.deepEqual(health.condition, { state: 'no-writes', sinceMs: 5_000, lastError: full.message })
  await store.get('k')
  await store.delete('absent')
  await assertFails(() => store.get('absent'), 'not_found')
  assert.equal(health.condition.state, 'no-writes')
  await store.put('k', new Uint8Array(1))
  assert.equal(health.condition.state, 'ok')
})
