import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { createThreadMerger } from '../../../apps/compaction-worker/thread-merger.ts'
import type { CinderError } from '#core/errors.ts'
import { createInlineMerger, mergeTaskOf } from '../../support/merge-jobs.ts'
import { noisyDataset } from '../../support/noisy-dataset.ts'

const merger = createThreadMerger(1)
after(() => merger.stop())

const taskOf = (profiles: number) =>
  mergeTaskOf([
    [{ dataset: noisyDataset({ service: 'a', profiles, samples: 20 }), skip: [0] }],
    [{ dataset: noisyDataset({ service: 'a', profiles: 3, samples: 10 }) }],
  ])

test('a thread makes the same objects as this one', async () => {
  const inline = await createInlineMerger().merge(taskOf(5))
  const threaded = await merger.merge(taskOf(5))
  assert.deepEqual(threaded, inline)
})

test('a fault in the thread fails its task with kind and reason; the next task works', async () => {
  const task = taskOf(4)
  task.sources[0]!.bytes[task.sources[0]!.source.datasets[0]!.descriptor.offset + 40]! ^= 1
  await assert.rejects(merger.merge(task), (error: CinderError) => {
    assert.equal(error.kind, 'data_loss')
    assert.match(error.message, /tenant-a/)
    return true
  })
  assert.equal((await merger.merge(taskOf(4))).outputs.length, 1)
})

test('a task that cannot be sent does not keep its thread', async () => {
  const task = taskOf(2)
  const [first] = task.sources as [(typeof task.sources)[number]]
  // One buffer twice in a transfer is refused by the runtime.
  await assert.rejects(
    merger.merge({ ...task, sources: [first, first] }),
    (error: CinderError) => error.kind === 'internal',
  )
  assert.equal((await merger.merge(taskOf(2))).outputs.length, 1)
})

test('more tasks than threads are refused as busy, not queued', async () => {
  const running = merger.merge(taskOf(6))
  await assert.rejects(merger.merge(taskOf(2)), (error: CinderError) => error.kind === 'resource_exhausted')
  assert.equal((await running).outputs.length, 1)
})

test('stop fails what runs', async () => {
  const own = createThreadMerger(1)
  const running = own.merge(taskOf(6))
  const failed = assert.rejects(running, /stopping/)
  await own.stop()
  await failed
  await assert.rejects(own.merge(taskOf(2)), (error: CinderError) => error.kind === 'unavailable')
})
