/**
 * Bad objects under a running fleet: one that somebody deleted, one whose bytes rotted. The real worker names them, the
 * real queue parts them from the rest, people see why, and what was mended is taken up again.
 */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { objectKey } from '#core/block/object-key.ts'
import type { JobSummary } from '#core/rpc/jobs.ts'
import { createJobService } from '../../apps/metastore/job-service.ts'
import { waitUntil } from '../support/process.ts'
import { buildPprof } from '../support/profiles.ts'
import { askTotal, pushOne, recentRange } from '../support/server-client.ts'
import { createServiceStack, type ServiceStack } from '../support/service-stack.ts'

const SERVICES = ['cart', 'gone', 'rotten', 'shop', 'stock', 'users']

async function segmentOf({ metastore }: ServiceStack, service: string) {
  const { start, end } = recentRange()
  const range = { tenants: ['anonymous'], startMs: Number(start), endMs: Number(end) }
  const { objects } = await metastore.metastore.planQuery({ ...range, services: [service] })
  return objects
}

test('of six objects only the two bad ones are parked, each alone; what is mended goes on (H25, H26, H39)', async () => {
  const stack = await createServiceStack()
  after(() => stack.close())
  const { sql } = stack.metastore.database
  const jobs = createJobService({ sql, settings: stack.metastore.settings })
  for (const [i, service] of SERVICES.entries()) {
    const timeNanos = BigInt(Date.now() - 1_000 * i) * 1_000_000n
    await pushOne(
      stack.send,
      service,
      buildPprof({ timeNanos, samples: [{ stack: ['work', 'main'], values: [1 + i] }] }),
    )
  }
  const [gone] = await segmentOf(stack, 'gone')
  const [rotten] = await segmentOf(stack, 'rotten')
  assert.notEqual(gone!.objectId, rotten!.objectId, 'a push an object')
  await stack.store.delete(objectKey(gone!.objectId))
  const good = await stack.store.get(objectKey(rotten!.objectId))
  const bad = Uint8Array.from(good)
  const { offset, sizeBytes } = rotten!.datasets[0]!.descriptor
  for (let at = offset + 40; at < offset + sizeBytes; at += 7) bad[at]! ^= 0x55
  await stack.store.delete(objectKey(rotten!.objectId))
  await stack.store.put(objectKey(rotten!.objectId), bad)

  await stack.metastore.plan()
  stack.startWorker()
  const parkedJobs = async (): Promise<JobSummary[]> =>
    (await jobs.listJobs({ states: ['parked'], tenant: '', level: 0, pageSize: 0, pageToken: '' })).jobs
  await waitUntil('both bad objects are parked and nothing else waits', async () => {
    await stack.metastore.endBackoff()
    const { jobs: open } = await jobs.listJobs({
      states: ['queued', 'running'],
      tenant: '',
      level: 0,
      pageSize: 0,
      pageToken: '',
    })
    return open.length === 0 && (await parkedJobs()).length === 2
  })

  const details = await Promise.all((await parkedJobs()).map(({ jobId }) => jobs.getJob({ jobId })))
  const found = details.map(({ job, sources }) => [
    job.failureKind,
    ...sources.map(({ objectId, service }) => `${objectId} ${service}`),
  ])
  assert.deepEqual(found.sort(), [
    ['corrupt-source', `${rotten!.objectId} rotten`],
    ['missing-source', `${gone!.objectId} gone`],
  ])
  for (const { job, failures } of details) {
    const own = failures.filter(({ kind }) => kind === job.failureKind)
    assert.equal(own.length, stack.metastore.failuresMax)
    const named = job.failureKind === 'missing-source' ? gone!.objectId : 'service "rotten"'
    assert.ok(job.reason.includes(named), job.reason)
  }
  for (const [i, service] of SERVICES.entries()) {
    if (service === 'gone' || service === 'rotten') continue
    const objects = await segmentOf(stack, service)
    assert.deepEqual(
      objects.map(({ level }) => level),
      [1],
      service,
    )
    assert.equal(await askTotal(stack.send, service), BigInt(1 + i))
  }

  await stack.store.delete(objectKey(rotten!.objectId))
  await stack.store.put(objectKey(rotten!.objectId), good)
  const mended = details.find(({ job }) => job.failureKind === 'corrupt-source')!.job
  await jobs.retryJob({ jobId: mended.jobId })
  await waitUntil('the mended object is compacted', async () => (await segmentOf(stack, 'rotten'))[0]?.level === 1)
  assert.equal(await askTotal(stack.send, 'rotten'), 3n)
  assert.equal((await parkedJobs()).length, 1)
})
