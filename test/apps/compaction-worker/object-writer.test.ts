import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ObjectWriter, PART_BYTES, UPLOAD_BYTES_MIN } from '../../../apps/compaction-worker/object-writer.ts'
import { objectKey } from '#core/block/object-key.ts'
import { encodeObject, type ObjectDataset } from '#core/block/write.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { faultyStore, STORE_DOWN } from '../../support/faulty-store.ts'
import { objectIdOf } from '../../support/objects.ts'

const HEADER = { objectId: objectIdOf(1), level: 1, createdMs: 5, job: { jobId: '7', epoch: 3 }, sources: [] }
const KEY = objectKey(HEADER.objectId)

/** The writer does not look into regions. */
function region(service: string, sizeBytes: number): ObjectDataset {
  const bytes = new Uint8Array(sizeBytes).map((_, i) => i % 251)
  const times = { headBytes: 10, minTimeMs: 0, maxTimeMs: 0, profileCount: 1, sampleCount: 1 }
  return { tenant: 'a', service, windowStartMs: 0, windowMs: 1, encoded: { tenant: 'a', service, bytes, ...times } }
}

function scene() {
  const memory = createMemoryStore()
  const calls: string[] = []
  const counting = faultyStore({
    ...memory,
    put: (key, body) => (calls.push('put'), memory.put(key, body)),
    async createUpload(key, options) {
      calls.push('createUpload')
      const upload = await memory.createUpload(key, options)
      return {
        putPart: (part, body) => (calls.push(`part ${part}: ${body.length}`), upload.putPart(part, body)),
        complete: () => (calls.push('complete'), upload.complete()),
        abort: () => (calls.push('abort'), upload.abort()),
      }
    },
  })
  return { memory, calls, store: counting }
}

test('a small object is one put of what encodeObject makes', async () => {
  const { store, memory, calls } = scene()
  const datasets = [region('a', 1_000), region('b', 2_000)]
  const writer = new ObjectWriter(store, HEADER)
  for (const dataset of datasets) await writer.add(dataset)
  assert.deepEqual(calls, [])
  const output = await writer.finish()
  assert.deepEqual(calls, ['put'])
  const whole = encodeObject({ ...HEADER, datasets })
  assert.deepEqual(await memory.get(KEY), whole.bytes)
  assert.deepEqual(output, {
    objectId: HEADER.objectId,
    level: 1,
    sizeBytes: whole.bytes.length,
    datasets: whole.descriptors,
  })
})

test('a large object is an upload in full parts, visible at the end, footer last (H43)', async () => {
  const { store, memory, calls } = scene()
  const datasets = [region('a', UPLOAD_BYTES_MIN - 100), region('b', 300), region('c', PART_BYTES)]
  const writer = new ObjectWriter(store, HEADER)
  for (const dataset of datasets) {
    await writer.add(dataset)
    assert.ok(writer.bufferedBytes <= UPLOAD_BYTES_MIN, `${writer.bufferedBytes} bytes held`)
    assert.equal(await memory.head(KEY), undefined)
  }
  const { sizeBytes } = await writer.finish()
  const whole = encodeObject({ ...HEADER, datasets }).bytes
  assert.equal(sizeBytes, whole.length)
  assert.deepEqual(await memory.get(KEY), whole)
  assert.equal(calls.filter((call) => call === `part ${calls.indexOf(call)}: ${PART_BYTES}`).length, 3)
  assert.equal(calls.at(-1), 'complete')
})

test('what fails is aborted and never visible', async () => {
  const { store, memory, calls } = scene()
  const writer = new ObjectWriter(store, HEADER)
  await writer.add(region('a', UPLOAD_BYTES_MIN))
  store.failNext('putPart', STORE_DOWN)
  await assert.rejects(writer.add(region('b', PART_BYTES)))
  await writer.abort()
  assert.equal(calls.at(-1), 'abort')
  assert.equal(writer.bufferedBytes, 0)
  assert.equal(await memory.head(KEY), undefined)
})
