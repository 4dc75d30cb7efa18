import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { createThreadMerger } from '../../../apps/compaction-worker/thread-merger.ts'
import type { JobFailure } from '../../../apps/compaction-worker/job-failure.ts'
import type { CinderError } from '#core/errors.ts'
import { createInlineMerger, mergeTaskOf, sourcesOf } from '../../support/merge-jobs.ts'
import { noisyDataset } from '../../support/noisy-dataset.ts'

const merger = createThreadMerger(1)
after(() => merger.stop())

const taskOf = (profiles: number) =>
  mergeTaskOf(
    sourcesOf([
      [{ dataset: noisyDataset({ service: 'a', profiles, samples: 20 }), skip: [0] }],
      [{ dataset: noisyDataset({ service: 'a', profiles: 3, samples: 10 }) }],
    ]),
  )

test('a thread makes the same datasets as this one', async () => {
  const inline = await createInlineMerger().merge(taskOf(5))
  const threaded = await merger.merge(taskOf(5))
  assert.deepEqual(threaded, inline)
})

test('a fault in the thread fails its task with kind, reason and culprits; the next task works', async () => {
  const task = taskOf(4)
  const input = task.groups[0]!.inputs[0]!
  input.region[40]! ^= 1
  await assert.rejects(merger.merge(task), (error: JobFailure) => {
    assert.equal(error.kind, 'data_loss')
    assert.match(error.message, /tenant-a/)
    assert.deepEqual([error.failure, error.culprits], ['corrupt-source', [{ objectId: input.objectId, index: 0 }]])
    return true
  })
  assert.equal((await merger.merge(taskOf(4))).datasets.length, 1)
})

test('what a merge must not publish comes out of its thread with the failure', async () => {
  const { datasets } = await createInlineMerger().merge(taskOf(3))
  const error = { kind: 'data_loss', reason: 'conservation', message: 'lost', failure: 'conservation', culprits: [] }
  const liar = {
    onmessage: undefined as ((event: { data: unknown }) => void) | undefined,
    addEventListener: () => undefined,
    terminate: () => undefined,
    postMessage({ id }: { id: number }) {
      this.onmessage!({ data: structuredClone({ id, error: { ...error, bad: datasets } }) })
    },
  }
  const own = createThreadMerger(1, () => liar as unknown as Worker)
  await assert.rejects(own.merge(taskOf(2)), ({ failure, bad }: JobFailure) => {
    assert.deepEqual([failure, bad], ['conservation', datasets])
    return true
  })
  await own.stop()
})

test('a task that cannot be sent does not keep its thread', async () => {
  const task = taskOf(2)
  // What was taken away once cannot be sent again.
  const { buffer } = task.groups[0]!.inputs[0]!.region
  structuredClone(buffer, { transfer: [buffer as ArrayBuffer] })
  await assert.rejects(merger.merge(task), (error: CinderError) => error.kind === 'internal')
  assert.equal((await merger.merge(taskOf(2))).datasets.length, 1)
})

test('more tasks than threads are refused as busy, not queued', async () => {
  const running = merger.merge(taskOf(6))
  await assert.rejects(merger.merge(taskOf(2)), (error: CinderError) => error.kind === 'resource_exhausted')
  assert.equal((await running).datasets.length, 1)
})

test('stop fails what runs', async () => {
  const own = createThreadMerger(1)
  const running = own.merge(taskOf(6))
  const failed = assert.rejects(running, /stopping/)
  await own.stop()
  await failed
  await assert.rejects(own.merge(taskOf(2)), (error: CinderError) => error.kind === 'unavailable')
})

test('a thread that ends without an error fails its task, and the next task has another', async () => {
  let starts = 0
  const own = createThreadMerger(1, () => {
    const ending = `self.onmessage = () => process.exit(0)`
    const path = new URL('../../../apps/compaction-worker/merge-thread.ts', import.meta.url).href
    return new Worker(starts++ === 0 ? URL.createObjectURL(new Blob([ending])) : path)
  })
  await assert.rejects(own.merge(taskOf(2)), /merge thread died: it has ended/)
  assert.equal((await own.merge(taskOf(2))).datasets.length, 1)
  await own.stop()
})
