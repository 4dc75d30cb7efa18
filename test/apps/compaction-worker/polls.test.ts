/** The rhythm of polls, and jobs that are lost to their worker while it runs them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CompactionWorkerService } from '../../../apps/compaction-worker/app.ts'
import { CinderError } from '#core/errors.ts'
import type { Metastore } from '#core/rpc/metastore.ts'
import { idle } from '../../support/manual-clock.ts'
import { workerScene } from '../../support/worker-scene.ts'
import { NOW_NANOS, push, settle, simplePprof } from '../../support/write-path.ts'

const countsOf = (worker: CompactionWorkerService) => {
  const { running, committed, failed, stale, deleted } = worker.status()
  return { running, committed, failed, stale, deleted }
}

test('a job that appears while another one runs is begun at once, if there is capacity for it', async () => {
  const { clock, twin, store, writer, start, stop } = await workerScene()
  twin.plan()
  const stall = store.stallNext('get')
  const worker = start()
  await stall.reached
  await clock.advance(2_500)
  await settle(clock, push(writer, [simplePprof(1, { timeNanos: NOW_NANOS + 9n })]))
  twin.plan()
  await clock.advance(100)
  assert.deepEqual([worker.status().running, worker.status().committed], [1, 1])
  stall.release()
  await idle()
  assert.equal(worker.status().committed, 2)
  await stop(worker)
})

test('an idle worker polls once a second, also if the metastore answers at once', async () => {
  const { clock, metastore, start, stop, pollCount } = await workerScene({ segments: 0 })
  const worker = start()
  await clock.advance(10_000)
  assert.ok(pollCount() <= 11, `${pollCount()} polls in 10 s`)
  await stop(worker)

  let polls = 0
  const hasty: Metastore = {
    ...metastore,
    async pollJobs() {
      // Past the bound it fails, because a loop without a pause would never let the test end.
      if (++polls > 200) throw new CinderError('internal', 'asked in a loop')
      return { jobs: [], lost: [] }
    },
  }
  const eager = start({ metastore: hasty })
  await clock.advance(10_000)
  assert.ok(polls <= 110, `${polls} polls in 10 s`)
  await stop(eager)
})

test('leases are renewed while a job runs', async () => {
  const { clock, twin, store, start, stop, pollCount, read } = await workerScene()
  twin.plan()
  const stall = store.stallNext('get')
  const worker = start({ capacity: 1 })
  await stall.reached
  const before = pollCount()
  await clock.advance(15_000)
  assert.ok(pollCount() - before >= 3, 'three times within a lease of 15 s')
  assert.ok(pollCount() - before <= 5, `${pollCount() - before} renewals`)
  stall.release()
  await idle()
  assert.equal(worker.status().committed, 1)
  assert.equal((await read()).total, 111n)
  await stop(worker)
})

test('a lost lease cancels the job: it publishes nothing, another worker does it once (H41)', async () => {
  const { clock, twin, store, metastore, read, start, stop } = await workerScene()
  twin.plan()
  const stall = store.stallNext('get')
  const first = start()
  await stall.reached
  twin.expireJobLeases()
  twin.endBackoff()
  const second = start({ workerId: 'w2' })
  await clock.advance(5_000)
  assert.equal(second.status().committed, 1)
  stall.release()
  await clock.advance(5_000)
  assert.deepEqual(countsOf(first), { running: 0, committed: 0, failed: 0, stale: 0, deleted: 0 })
  assert.equal(metastore.calls.filter((call) => call === 'commitCompaction').length, 1)
  assert.equal((await read()).total, 111n)
  await Promise.all([stop(first), stop(second)])
})

test('a lost job whose merge has not ended yet does not make the worker ask in a loop', async () => {
  const { clock, twin, store, start, stop, pollCount } = await workerScene()
  twin.plan()
  const stall = store.stallNext('get')
  const worker = start()
  await stall.reached
  twin.expireJobLeases()
  const before = pollCount()
  await clock.advance(10_000)
  assert.ok(pollCount() - before <= 12, `${pollCount() - before} polls in 10 s`)
  stall.release()
  await stop(worker)
})

test('a job that is lost and comes back to its worker is done once, whatever becomes of the first attempt (H41)', async () => {
  const { clock, twin, store, metastore, read, start, stop } = await workerScene()
  twin.plan()
  const first = store.stallNext('get')
  const worker = start()
  await first.reached
  const second = store.stallNext('get')
  twin.expireJobLeases()
  twin.endBackoff()
  await clock.advance(5_000)
  await second.reached
  // The cancelled attempt ends, the other goes on.
  first.release()
  await clock.advance(5_000)
  assert.equal(worker.status().running, 1)
  second.release()
  await clock.advance(5_000)
  assert.equal(worker.status().committed, 1)
  assert.equal(metastore.calls.filter((call) => call === 'commitCompaction').length, 1)
  assert.equal((await read()).total, 111n)
  await stop(worker)
})

test('a clock that is set back does not put the worker to sleep', async () => {
  const { clock, metastore, start, stop } = await workerScene({ segments: 0 })
  let polls = 0
  let backMs = 0
  const hasty: Metastore = {
    ...metastore,
    async pollJobs() {
      if (++polls === 2) backMs = 3_600_000
      return { jobs: [], lost: [] }
    },
  }
  const shifted = { ...clock, nowMs: () => clock.nowMs() - backMs }
  const worker = start({ metastore: hasty, clock: shifted })
  await clock.advance(1_000)
  assert.ok(polls >= 9, `${polls} polls in a second`)
  await stop(worker)
})
