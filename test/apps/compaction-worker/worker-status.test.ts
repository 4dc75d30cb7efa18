import assert from 'node:assert/strict'
import { test } from 'node:test'
import { jobStatus, pollReport, usedBytesOf } from '../../../apps/compaction-worker/worker-status.ts'
import { noisyDataset } from '../../support/noisy-dataset.ts'
import { jobOf, sourcesOf } from '../../support/merge-jobs.ts'

const sources = sourcesOf([
  ['b', 'a'].map((tenant) => ({ dataset: noisyDataset({ tenant, service: 's', profiles: 2, samples: 5 }) })),
])
const tracked = (usedBytes: number) => ({
  job: jobOf(sources.map(({ source }) => source)),
  progress: { progress: 0.25, usedBytes },
  sinceMs: 7,
  isCommitting: false,
})

test('a job tells level, tenants, inputs and how far it is', () => {
  const { inputBytes, ...status } = jobStatus(tracked(100))
  const shown = { jobId: '7', epoch: 3, level: 1, tenants: ['a', 'b'], samples: 20, sources: 1 }
  assert.deepEqual(status, { ...shown, progress: 0.25, usedBytes: 100, sinceMs: 7, state: 'merging' })
  assert.equal(
    inputBytes,
    sources[0]!.source.datasets.reduce((sum, { descriptor }) => sum + descriptor.sizeBytes, 0),
  )
  assert.equal(jobStatus({ ...tracked(1), isCommitting: true }).state, 'committing')
})

test('a poll tells what the worker has and uses, and the progress of each job', () => {
  const identity = { workerId: 'w', address: 'http://w', version: '1', threads: 2, capacity: 2, budgetBytes: 1000 }
  const jobs = [tracked(100), tracked(50)]
  assert.equal(usedBytesOf(jobs), 150)
  const { worker, running } = pollReport(identity, jobs)
  assert.deepEqual(worker, {
    address: 'http://w',
    version: '1',
    threads: 2,
    capacity: 2,
    budgetBytes: 1000,
    usedBytes: 150,
  })
  assert.deepEqual(
    running,
    Array.from({ length: 2 }, () => ({ jobId: '7', epoch: 3, progress: 0.25 })),
  )
})
