import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Metastore, OutputObject } from '#core/rpc/metastore.ts'
import { Registry } from '#platform/metrics/registry.ts'
import { meterQueue } from '../../../apps/metastore/queue-metrics.ts'

test('what a replica gives out and takes back is counted by level and kind; the rest passes untouched', async () => {
  const registry = new Registry()
  const verdicts = ['committed', 'stale', 'lost-lease', 'not-conserved']
  const job = (level: number) => ({ jobId: '1', epoch: 1, leaseMs: 1, level, sources: [] })
  const inner = {
    pollJobs: () => Promise.resolve({ jobs: [job(1), job(1), job(5)], lost: ['9'] }),
    commitCompaction: () => Promise.resolve({ verdict: verdicts.shift()!, staleObjectIds: [] }),
    planQuery: () => Promise.resolve({ objects: [] }),
  } as unknown as Metastore
  const metastore = meterQueue(inner, registry)
  assert.equal(metastore.planQuery, inner.planQuery)
  const failed = [
    { jobId: '7', epoch: 1, reason: 'x', kind: 'over-budget' },
    { jobId: '8', epoch: 1, reason: 'x' },
  ]
  const { jobs } = await metastore.pollJobs({
    workerId: 'w',
    capacity: 3,
    running: [],
    failed,
    released: [],
    waitMs: 0,
  })
  assert.equal(jobs.length, 3)
  const outputs: OutputObject[] = [{ objectId: 'o', level: 5, sizeBytes: 1, datasets: [] }]
  for (let i = 0; i < 4; i++) await metastore.commitCompaction({ workerId: 'w', jobId: '1', epoch: 1, outputs })
  const text = await registry.render()
  for (const line of [
    'pyroscope_metastore_compaction_scheduler_queue_assigned_jobs_total{level="0"} 2',
    'pyroscope_metastore_compaction_scheduler_queue_assigned_jobs_total{level="4"} 1',
    'pyroscope_metastore_compaction_scheduler_queue_completed_jobs_total{level="4"} 1',
    'cinder_jobs_stale_total 1',
    'cinder_job_leases_lost_total 2',
    'cinder_jobs_failed_total{kind="over-budget"} 1',
    'cinder_jobs_failed_total{kind="error"} 1',
    'cinder_jobs_failed_total{kind="conservation"} 1',
  ]) {
    assert.ok(text.includes(`\n${line}\n`), line)
  }
})
