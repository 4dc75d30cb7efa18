import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deleteDueObjects } from '../../../apps/compaction-worker/delete-objects.ts'
import { objectKey, OBJECT_KEY_PREFIX } from '#core/block/object-key.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { CinderError } from '#core/errors.ts'
import { faultyMetastore } from '../../support/faulty-metastore.ts'
import { faultyStore, STORE_DOWN } from '../../support/faulty-store.ts'
import { HandClock } from '../../support/hand-clock.ts'
import { createMemoryMetastore } from '../../support/memory-metastore.ts'
import { makeSegment } from '../../support/metastore-requests.ts'
import { objectIdOf } from '../../support/objects.ts'
import { createSilentLog } from '../../support/silent-log.ts'

const NEVER = new AbortController().signal

/** One live object, and `deadCount` whose only profile is a duplicate of its. */
async function scene(deadCount: number) {
  const store = faultyStore(createMemoryStore())
  const twin = createMemoryMetastore()
  for (let i = 0; i <= deadCount; i++) {
    await store.put(objectKey(objectIdOf(i)), new Uint8Array(8))
    await twin.commitSegment(makeSegment(objectIdOf(i), [{ profiles: [1] }]))
  }
  const metastore = faultyMetastore(twin)
  const log = createSilentLog()
  const clock = new HandClock()
  return {
    clock,
    store,
    twin,
    metastore,
    log,
    run: (signal = NEVER) => deleteDueObjects({ store, metastore, clock, log }, 'w1', signal),
    objectCount: async () => (await store.list(OBJECT_KEY_PREFIX)).length,
  }
}

test('due objects are claimed, deleted, then confirmed; live and young ones stay', async () => {
  const { twin, metastore, run, objectCount } = await scene(3)
  assert.equal(await run(), 0, 'within the grace')
  twin.endGrace()
  assert.equal(await run(), 3)
  assert.equal(await objectCount(), 1)
  assert.deepEqual(metastore.calls, ['claimTombstones', 'claimTombstones', 'confirmDeleted'])
  twin.endGrace()
  assert.equal(await run(), 0, 'forgotten')
})

test('many batches are done in one go', async () => {
  const { twin, run, objectCount } = await scene(250)
  twin.endGrace()
  assert.equal(await run(), 250)
  assert.equal(await objectCount(), 1)
})

test('an object that cannot be deleted stays a tombstone; the others go on', async () => {
  const { store, twin, log, run, objectCount } = await scene(3)
  twin.endGrace()
  store.failNext('delete', STORE_DOWN)
  assert.equal(await run(), 2)
  assert.equal(await objectCount(), 2)
  assert.equal(log.events.length, 1)
  assert.equal(await run(), 0, 'leased')
  twin.endGrace()
  assert.equal(await run(), 1)
  assert.equal(await objectCount(), 1)
})

test('a confirmation that is lost is made up for by the next claim', async () => {
  const { twin, metastore, run, objectCount } = await scene(2)
  twin.endGrace()
  metastore.failNext('confirmDeleted', STORE_DOWN)
  await assert.rejects(run(), { kind: 'unavailable' })
  assert.equal(await objectCount(), 1)
  twin.endGrace()
  assert.equal(await run(), 2, 'deleting what is gone succeeds')
})

test('a stopped worker claims nothing', async () => {
  const { twin, metastore, run } = await scene(2)
  twin.endGrace()
  assert.equal(await run(AbortSignal.abort()), 0)
  assert.deepEqual(metastore.calls, [])
})

test('a store that allows no delete is asked once a pass, and told about with its reason (H24)', async () => {
  const { store, twin, metastore, log, run, objectCount } = await scene(250)
  twin.endGrace()
  const denied = new CinderError('permission_denied', 'access denied')
  store.failNext('delete', { error: denied, when: 'before', count: 250 })
  assert.equal(await run(), 0)
  assert.equal(store.pendingCount(), 249, 'one call')
  assert.deepEqual(metastore.calls, ['claimTombstones', 'confirmDeleted'])
  assert.equal(log.events.length, 1)
  assert.equal(await objectCount(), 251)
})

test('a slow store: a slice ends with half of its lease, what it deleted is confirmed (H66)', async () => {
  const { store, twin, clock, run, objectCount } = await scene(250)
  twin.endGrace()
  const slow = store.delete
  store.delete = async (key, options) => {
    clock.advance(1_000)
    await slow.call(store, key, options)
  }
  // Three claims of 100, 100 and 50, of each 8 s at most: the rest is leased until then.
  assert.equal(await run(), 24)
  assert.equal(await objectCount(), 227)
  for (let pass = 0; pass < 20; pass++) {
    twin.endGrace()
    await run()
  }
  assert.equal(await objectCount(), 1)
})
