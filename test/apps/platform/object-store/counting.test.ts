import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PART_BYTES_MIN } from '#core/ports/object-store.ts'
import { countingStore } from '#platform/object-store/counting.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { assertFails, runObjectStoreContract } from '../../../contract/object-store.ts'

runObjectStoreContract('counting', async () => countingStore(createMemoryStore()))

test('counts calls and the bytes that passed; a failed read moves no bytes', async () => {
  const store = countingStore(createMemoryStore())
  await store.put('a', new Uint8Array(100))
  await store.putIfAbsent('b', new Uint8Array(50))
  await store.get('a')
  await store.getRange('a', 10, 20)
  await store.getRange('a', 90, 10)
  await assertFails(() => store.getRange('a', 90, 11), 'data_loss')
  await store.head('a')
  await store.list('')
  await store.delete('a')
  const upload = await store.createUpload('c', { partBytes: PART_BYTES_MIN })
  await upload.putPart(1, new Uint8Array(7))
  await upload.complete()
  const expected = { puts: 2, putBytes: 150, gets: 1, getBytes: 100, ranges: 3, rangeBytes: 30, heads: 1, lists: 1 }
  assert.deepEqual(store.takeCounts(), { ...expected, deletes: 1, uploads: 1, parts: 1, partBytes: 7 })
  assert.equal(store.counts.puts, 0)
})
