import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JobFailure } from '../../../apps/compaction-worker/job-failure.ts'
import { planJob } from '../../../apps/compaction-worker/job-plan.ts'
import { readBatch } from '../../../apps/compaction-worker/read-batch.ts'
import { objectKey } from '#core/block/object-key.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { faultyStore, STORE_DOWN } from '../../support/faulty-store.ts'
import { noisyDataset } from '../../support/noisy-dataset.ts'
import { objectIdOf, putObject } from '../../support/objects.ts'

const SIGNAL = new AbortController().signal

async function scene() {
  const store = faultyStore(createMemoryStore())
  const sources = await Promise.all(
    [0, 1, 2].map((i) =>
      putObject(
        store,
        i,
        ['a', 'b'].map((service) => ({ dataset: noisyDataset({ service, profiles: 2 + i, samples: 10 }) })),
      ),
    ),
  )
  const [batch] = planJob({ level: 1, sources }).batches
  return { store, sources, batch: batch!, read: () => readBatch({ store, sources, signal: SIGNAL }, batch!) }
}

test('every group has the regions of its datasets, each with the object it is from', async () => {
  const { store, sources, read } = await scene()
  const groups = await read()
  assert.deepEqual(
    groups.map(({ inputs }) => inputs.map(({ objectId, descriptor }) => `${objectId}/${descriptor.service}`)),
    ['a', 'b'].map((service) => sources.map(({ objectId }) => `${objectId}/${service}`)),
  )
  for (const { objectId, descriptor, region } of groups.flatMap(({ inputs }) => inputs)) {
    const bytes = await store.get(objectKey(objectId))
    assert.deepEqual(region, bytes.subarray(descriptor.offset, descriptor.offset + descriptor.sizeBytes))
  }
})

test('a source that is gone is named with all that the job wants of it (H25)', async () => {
  const { store, sources, read } = await scene()
  await store.delete(objectKey(sources[1]!.objectId))
  await assert.rejects(read(), ({ failure, culprits, kind }: JobFailure) => {
    assert.deepEqual([failure, kind], ['missing-source', 'not_found'])
    assert.deepEqual(
      culprits,
      [0, 1].map((index) => ({ objectId: objectIdOf(1), index })),
    )
    return true
  })
})

test('a range past the end of an object is named as damage (H26)', async () => {
  const { store, sources } = await scene()
  const bytes = await store.get(objectKey(sources[2]!.objectId))
  const second = { ...sources[2]!, sizeBytes: 1e6, datasets: sources[2]!.datasets.slice(1) }
  await store.put(objectKey(second.objectId), bytes.subarray(0, second.datasets[0]!.descriptor.offset + 10))
  const [batch] = planJob({ level: 1, sources: [second] }).batches
  await assert.rejects(
    readBatch({ store, sources: [second], signal: SIGNAL }, batch!),
    ({ failure, culprits }: JobFailure) => {
      assert.deepEqual([failure, culprits], ['corrupt-source', [{ objectId: objectIdOf(2), index: 1 }]])
      return true
    },
  )
})

test('a store that fails names nobody; a job that is cancelled reads nothing', async () => {
  const { store, sources, batch, read } = await scene()
  store.failNext('get', STORE_DOWN)
  await assert.rejects(read(), (error: JobFailure) => error.kind === 'unavailable' && error.failure === undefined)
  assert.deepEqual(await readBatch({ store, sources, signal: AbortSignal.abort() }, batch), [])
})
