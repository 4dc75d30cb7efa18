import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CompactionWorkerService } from '../../../apps/compaction-worker/app.ts'
import { objectKey, OBJECT_KEY_PREFIX } from '#core/block/object-key.ts'
import { CinderError } from '#core/errors.ts'
import type { Metastore, PollJobsRequest } from '#core/rpc/metastore.ts'
import { STORE_DOWN } from '../../support/faulty-store.ts'
import { idle } from '../../support/manual-clock.ts'
import { WORKER_SETTINGS, workerScene } from '../../support/worker-scene.ts'
import { settle } from '../../support/write-path.ts'

const countsOf = (worker: CompactionWorkerService) => {
  const { running, committed, failed, stale, deleted } = worker.status()
  return { running, committed, failed, stale, deleted }
}

test('a job that appears during a long poll is merged and committed; answers stay the same', async () => {
  const { clock, twin, read, start, stop, objectCount } = await workerScene()
  const before = await read()
  const worker = start()
  await clock.advance(500)
  twin.plan()
  await idle()
  assert.deepEqual(countsOf(worker), { running: 0, committed: 1, failed: 0, stale: 0, deleted: 0 })
  assert.equal(twin.liveObjectIds().length, 1)
  assert.deepEqual(await read(), before)
  assert.equal(before.total, 111n)
  assert.equal(await objectCount(), 4)
  twin.endGrace()
  await clock.advance(30_000)
  assert.equal(worker.status().deleted, 3)
  assert.equal(await objectCount(), 1)
  assert.deepEqual(await read(), before)
  await stop(worker)
  assert.equal(clock.sleeperCount(), 0)
})

test('a failure is reported with the next poll, again if that is lost, and the job is tried again', async () => {
  const { clock, twin, store, metastore, read, start, stop, log } = await workerScene()
  twin.plan()
  const stall = store.stallNext('get')
  store.failNext('get', STORE_DOWN)
  metastore.failNext('claimTombstones', STORE_DOWN)
  const worker = start()
  await stall.reached
  // The poll that would report the failure is lost.
  metastore.failNext('pollJobs', STORE_DOWN)
  stall.release()
  await idle()
  assert.equal(worker.status().failed, 1)
  await clock.advance(1_500)
  assert.deepEqual(
    log.events.filter(({ level }) => level !== 'info').map(({ event }) => event),
    ['deletion failed', 'compaction failed', 'poll failed'],
  )
  assert.equal(worker.status().committed, 0, 'backing off')
  twin.endBackoff()
  await clock.advance(2_000)
  assert.equal(worker.status().committed, 1)
  assert.equal((await read()).total, 111n)
  await stop(worker)
})

test('a job that always fails is parked after three tries, and its sources stay live (H39)', async () => {
  const { clock, twin, store, read, start, stop } = await workerScene({ segments: 1 })
  twin.plan()
  store.failNext('put', { ...STORE_DOWN, count: 3 })
  const worker = start()
  for (let i = 0; i < 6; i++) {
    await clock.advance(2_000)
    twin.endBackoff()
  }
  assert.equal(worker.status().failed, 3)
  assert.equal(twin.parkedJobIds().length, 1)
  assert.equal((await read()).total, 1n)
  await stop(worker)
})

test('every attempt writes under a key of its own, which no deletion ever named (H59)', async () => {
  const { clock, twin, store, read, start, stop } = await workerScene()
  const sources = await store.list(OBJECT_KEY_PREFIX)
  const { put, delete: remove } = store
  const [written, deleted]: [string[], string[]] = [[], []]
  store.put = (key, ...rest) => {
    written.push(key)
    return put.call(store, key, ...rest)
  }
  store.delete = (key, ...rest) => {
    deleted.push(key)
    return remove.call(store, key, ...rest)
  }
  twin.plan()
  store.failNext('put', STORE_DOWN)
  const worker = start()
  for (let i = 0; i < 3; i++) {
    await clock.advance(2_000)
    twin.endBackoff()
  }
  assert.deepEqual([worker.status().failed, worker.status().committed], [1, 1])
  assert.equal(written.length, 2)
  assert.equal(new Set([...written, ...sources]).size, 2 + sources.length)
  twin.endGrace()
  await clock.advance(30_000)
  assert.deepEqual(
    sources.filter((key) => !deleted.includes(key)),
    [],
  )
  assert.ok(!deleted.includes(written[1]!), 'what was published is not what was deleted')
  assert.equal((await read()).total, 111n)
  await stop(worker)
})

test('a commit that comes too late is judged by the metastore: counted as stale, outputs deleted', async () => {
  const { clock, twin, metastore, read, start, stop, objectCount } = await workerScene()
  twin.plan()
  const stall = metastore.stallNext('commitCompaction')
  const first = start()
  await stall.reached
  twin.expireJobLeases()
  twin.endBackoff()
  const second = start({ workerId: 'w2' })
  await idle()
  assert.equal(second.status().committed, 1)
  stall.release()
  await idle()
  assert.deepEqual([first.status().committed, first.status().stale], [0, 1])
  assert.equal((await read()).total, 111n)
  assert.equal(await objectCount(), 5)
  twin.endGrace()
  await clock.advance(30_000)
  assert.equal(await objectCount(), 1)
  assert.equal((await read()).total, 111n)
  await Promise.all([stop(first), stop(second)])
})

test('a source that is retired meanwhile makes the job stale: nothing is published', async () => {
  const { clock, twin, metastore, read, start, stop } = await workerScene()
  twin.plan()
  const stall = metastore.stallNext('commitCompaction')
  const worker = start()
  await stall.reached
  const [gone] = twin.liveObjectIds()
  twin.retireDataset(gone!, 0)
  stall.release()
  await idle()
  assert.deepEqual([worker.status().committed, worker.status().stale], [0, 1])
  assert.equal((await read()).total, 110n)
  twin.plan()
  await clock.advance(5_000)
  assert.equal(worker.status().committed, 1)
  assert.equal((await read()).total, 110n)
  await stop(worker)
})

test('a commit whose answer is lost is repeated: done once, not merged again', async () => {
  const { clock, twin, metastore, read, start, stop, objectCount } = await workerScene()
  twin.plan()
  metastore.failNext('commitCompaction', { ...STORE_DOWN, when: 'after' })
  metastore.failNext('commitCompaction', STORE_DOWN)
  const worker = start()
  await clock.advance(5_000)
  assert.deepEqual(countsOf(worker), { running: 0, committed: 1, failed: 0, stale: 0, deleted: 0 })
  assert.equal(await objectCount(), 4, 'one output')
  assert.equal((await read()).total, 111n)
  await stop(worker)
})

test('stop while a job runs: it is given back before the merge ends, nothing is published, no failure counts (H40)', async () => {
  const { twin, store, clock, read, start, stop, metastore } = await workerScene()
  twin.plan()
  const heirs = []
  // More often than a job may fail.
  for (let round = 0; round <= twin.failuresMax; round++) {
    const stall = store.stallNext('get')
    const worker = start({ workerId: `w${round}` })
    await stall.reached
    const stopped = worker.stop()
    await idle()
    const taken = store.stallNext('get')
    const next = start({ workerId: `next${round}` })
    await taken.reached
    stall.release()
    await settle(clock, stopped)
    heirs.push(next.stop())
    await idle()
    taken.release()
  }
  await settle(clock, Promise.all(heirs))
  assert.ok(!metastore.calls.includes('commitCompaction'))
  assert.deepEqual(twin.parkedJobIds(), [])
  assert.equal((await read()).total, 111n)
  const heir = start({ workerId: 'heir' })
  await idle()
  assert.equal(heir.status().committed, 1)
  assert.equal((await read()).total, 111n)
  await stop(heir)
  assert.equal(clock.sleeperCount(), 0)
})

test('a job that is cancelled when its outputs are written leaves none of them', async () => {
  const { clock, twin, metastore, start, stop, objectCount } = await workerScene()
  twin.plan()
  const written = Promise.withResolvers<void>()
  // As a thread that has answered before it hears of the cancellation.
  const worker = start({
    around: (runner) => ({
      ...runner,
      async run(job, { signal }) {
        const outputs = await runner.run(job, { signal: new AbortController().signal })
        written.resolve()
        const cancelled = Promise.withResolvers<void>()
        signal.addEventListener('abort', () => cancelled.resolve())
        await cancelled.promise
        return outputs
      },
    }),
  })
  await written.promise
  assert.equal(await objectCount(), 4)
  await stop(worker)
  assert.equal(await objectCount(), 3)
  assert.ok(!metastore.calls.includes('commitCompaction'))
  assert.equal(clock.sleeperCount(), 0)
})

test('stop while a commit is under way: its verdict stands; if it fails, the job is given back', async () => {
  const { twin, clock, read, start, stop, metastore } = await workerScene()
  twin.plan()
  const failing = metastore.stallNext('commitCompaction')
  const first = start()
  await failing.reached
  const firstStopped = first.stop()
  await idle()
  metastore.failNext('commitCompaction', STORE_DOWN)
  failing.release()
  await settle(clock, firstStopped)

  const landing = metastore.stallNext('commitCompaction')
  const second = start({ workerId: 'w2' })
  await landing.reached
  const secondStopped = second.stop()
  await idle()
  landing.release()
  await settle(clock, secondStopped)
  assert.deepEqual([first.status().committed, second.status().committed], [0, 1])
  assert.equal(twin.liveObjectIds().length, 1)
  assert.equal((await read()).total, 111n)
  const third = start({ workerId: 'w3' })
  await clock.advance(5_000)
  assert.deepEqual(countsOf(third), { running: 0, committed: 0, failed: 0, stale: 0, deleted: 0 })
  await stop(third)
})

test('jobs that arrive while the worker stops are given back', async () => {
  const { twin, clock, start, stop, metastore } = await workerScene()
  twin.plan()
  const stall = metastore.stallNext('pollJobs')
  const worker = start()
  await stall.reached
  const stopped = worker.stop()
  stall.release()
  await settle(clock, stopped)
  const heir = start({ workerId: 'w2' })
  await idle()
  assert.equal(heir.status().committed, 1)
  await stop(heir)
})

test('a last poll that fails or hangs does not keep the worker', async () => {
  const { twin, clock, store, start, log, metastore } = await workerScene()
  twin.plan()
  for (const way of ['fails', 'hangs']) {
    const stall = store.stallNext('get')
    const worker = start({ workerId: way })
    await stall.reached
    if (way === 'fails') metastore.failNext('pollJobs', STORE_DOWN)
    else metastore.stallNext('pollJobs')
    const beganMs = clock.nowMs()
    const stopped = worker.stop()
    stall.release()
    await settle(clock, stopped)
    assert.equal(clock.nowMs() - beganMs, way === 'fails' ? 0 : 1_000)
    twin.expireJobLeases()
    twin.endBackoff()
  }
  assert.deepEqual(
    log.events.map(({ event }) => event),
    ['last poll failed'],
  )
})

test('a failure that was not reported yet is, when the worker stops', async () => {
  const { twin, clock, store, start, stop, metastore } = await workerScene({ segments: 1 })
  twin.plan()
  for (let failure = 0; failure < twin.failuresMax; failure++) {
    const stall = store.stallNext('get')
    store.failNext('get', STORE_DOWN)
    const worker = start({ capacity: 1 })
    await stall.reached
    const unheard = metastore.stallNext('pollJobs')
    stall.release()
    await unheard.reached
    metastore.failNext('pollJobs', STORE_DOWN)
    const stopped = worker.stop()
    unheard.release()
    await settle(clock, stopped)
    twin.endBackoff()
  }
  assert.equal(twin.parkedJobIds().length, 1)
  const worker = start()
  await idle()
  assert.equal(worker.status().running, 0)
  await stop(worker)
})

test('a source that is gone fails its job with the name of what is gone; the rest goes on (H25)', async () => {
  const { clock, twin, store, read, start, stop, metastore, log } = await workerScene()
  twin.plan()
  const [gone] = twin.liveObjectIds()
  await store.delete(objectKey(gone!))
  const failed: PollJobsRequest['failed'] = []
  const listening: Metastore = {
    ...metastore,
    pollJobs(request, options) {
      failed.push(...request.failed)
      return metastore.pollJobs(request, options)
    },
  }
  const worker = start({ metastore: listening })
  await clock.advance(10_000)
  assert.deepEqual([failed[0]!.kind, failed[0]!.culprits], ['missing-source', [{ objectId: gone, index: 0 }]])
  assert.match(failed[0]!.reason, new RegExp(gone!))
  assert.ok(log.events.some(({ event }) => event === 'compaction failed'))
  assert.equal(worker.status().committed, 1, 'the other two are merged')
  assert.ok(twin.liveObjectIds().includes(gone!))
  await assert.rejects(read())
  await stop(worker)
})

test('a poll tells what the worker has, and status what it does', async () => {
  const { clock, twin, store, start, stop, metastore } = await workerScene()
  twin.plan()
  const stall = store.stallNext('get')
  const reports: PollJobsRequest[] = []
  const listening: Metastore = {
    ...metastore,
    pollJobs(request, options) {
      reports.push(request)
      return metastore.pollJobs(request, options)
    },
  }
  const worker = start({ metastore: listening })
  await stall.reached
  const { jobs, running, capacity, budgetBytes, isStopping } = worker.status()
  assert.deepEqual([running, capacity, isStopping, jobs.length], [1, WORKER_SETTINGS.capacity, false, 1])
  assert.deepEqual([jobs[0]!.level, jobs[0]!.tenants, jobs[0]!.progress], [1, ['acme'], 0])
  await clock.advance(5_000)
  const last = reports.at(-1)!
  assert.deepEqual(
    last.running.map(({ progress }) => progress),
    [0],
  )
  assert.deepEqual([last.worker!.capacity, last.worker!.budgetBytes], [capacity, budgetBytes])
  stall.release()
  await idle()
  const { committed, samples, inputBytes } = worker.status()
  assert.equal(committed, 1)
  assert.ok(samples >= 3)
  assert.equal(inputBytes, jobs[0]!.inputBytes)
  await stop(worker)
  assert.equal(worker.status().isStopping, true)
})

test('a poll that hangs is given up when the worker stops: it ends within seconds (H40)', async () => {
  const { clock, metastore, start } = await workerScene({ segments: 0 })
  const given: AbortSignal[] = []
  const hanging: Metastore = {
    ...metastore,
    pollJobs: (_request, options) =>
      new Promise((_resolve, reject) => {
        const { signal } = options!
        given.push(signal!)
        signal!.addEventListener('abort', () => reject(new CinderError('canceled', 'given up')))
      }),
  }
  const worker = start({ metastore: hanging })
  await idle()
  const beganMs = clock.nowMs()
  await settle(clock, worker.stop())
  assert.ok(clock.nowMs() - beganMs <= 5_000, `${clock.nowMs() - beganMs} ms`)
  assert.ok(given[0]!.aborted)
})
