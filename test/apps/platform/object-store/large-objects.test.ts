import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { countingStore } from '#platform/object-store/counting.ts'
import { LARGE_BYTES, largeObjectsStore } from '#platform/object-store/large-objects.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { assertFails, runObjectStoreContract } from '../../../contract/object-store.ts'
import { faultyStore, STORE_DOWN } from '../../../support/faulty-store.ts'
import { idle } from '../../../support/manual-clock.ts'

runObjectStoreContract('large objects in pieces', async () => largeObjectsStore(createMemoryStore()))

const large = Uint8Array.from({ length: LARGE_BYTES + 12_345 }, (_, i) => (i * 31 + (i >> 12)) & 0xff)

test('a large object goes and comes in pieces, a smaller one whole', async () => {
  const counting = countingStore(createMemoryStore())
  const store = largeObjectsStore(counting)
  await store.put('large', large)
  const { puts, uploads, parts, partBytes } = counting.takeCounts()
  assert.deepEqual({ puts, uploads, parts, partBytes }, { puts: 0, uploads: 1, parts: 5, partBytes: large.length })
  assert.equal(Buffer.compare(await store.get('large'), large), 0)
  const { gets, ranges, rangeBytes } = counting.takeCounts()
  assert.deepEqual({ gets, ranges, rangeBytes }, { gets: 0, ranges: 5, rangeBytes: large.length })
  await store.put('small', large.subarray(0, LARGE_BYTES - 1))
  assert.equal((await store.get('small')).length, LARGE_BYTES - 1)
  assert.deepEqual([counting.counts.puts, counting.counts.uploads, counting.counts.gets], [1, 0, 1])
})

test('a piece of a get that fails is the failure of the get, and ends the others', async () => {
  const faulty = faultyStore(createMemoryStore())
  const counting = countingStore(faulty)
  const store = largeObjectsStore(counting)
  await store.put('k', large)
  const stalls = [1, 2, 3].map(() => faulty.stallNext('getRange'))
  faulty.failNext('getRange', STORE_DOWN)
  await assertFails(() => store.get('k'), 'unavailable')
  for (const { release } of stalls) release()
  await idle()
  assert.equal(counting.counts.ranges, 4, 'the fifth piece was never asked for')
})

test('at most four parts are on their way, and one that fails ends the upload and forgets its parts', async () => {
  const faulty = faultyStore(createMemoryStore())
  const store = largeObjectsStore(faulty)
  const stalls = [1, 2, 3, 4].map(() => faulty.stallNext('putPart'))
  faulty.failNext('putPart', STORE_DOWN)
  const put = assertFails(() => store.put('k', large), 'unavailable')
  await Promise.all(stalls.map(({ reached }) => reached))
  assert.equal(faulty.pendingCount(), 1, 'the fifth part waits for a lane')
  const aborted = faulty.stallNext('abort')
  for (const { release } of stalls) release()
  await put
  await aborted.reached
  aborted.release()
  await idle()
  assert.equal(await store.head('k'), undefined)
})

test('a completion that fails is the failure of the put', async () => {
  const faulty = faultyStore(createMemoryStore())
  const lost = new CinderError('unavailable', 'lost', { outcome: 'unknown' })
  faulty.failNext('complete', { error: lost, when: 'after' })
  const error = await assertFails(() => largeObjectsStore(faulty).put('k', large), 'unavailable')
  assert.equal(error.outcome, 'unknown')
  // It had happened: the abort that follows takes nothing away.
  assert.deepEqual(await faulty.head('k'), { sizeBytes: large.length })
})
