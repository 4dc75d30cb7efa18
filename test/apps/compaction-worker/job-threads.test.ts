import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { JobFailure } from '../../../apps/compaction-worker/job-failure.ts'
import { createJobThreads } from '../../../apps/compaction-worker/job-threads.ts'
import type { ThreadQuestion, ThreadReply } from '../../../apps/compaction-worker/thread-messages.ts'
import { objectKey, OBJECT_KEY_PREFIX } from '#core/block/object-key.ts'
import { verifyObject } from '#core/block/read.ts'
import type { CinderError } from '#core/errors.ts'
import type { SourceObject } from '#core/rpc/metastore.ts'
import { createCodec } from '#platform/codec.ts'
import type { EndedCall } from '#platform/metrics/metered-store.ts'
import { openFilesystemStore } from '#platform/object-store/filesystem.ts'
import { openThreadStore } from '#platform/object-store/open-store.ts'
import { createInlineRunner, jobOf } from '../../support/merge-jobs.ts'
import { createManualClock } from '../../support/manual-clock.ts'
import { noisyDataset } from '../../support/noisy-dataset.ts'
import { putObject } from '../../support/objects.ts'
import { startFakeS3 } from '../../support/servers/fake-s3.ts'
import { createSilentLog } from '../../support/silent-log.ts'

const log = createSilentLog()
const base = await mkdtemp(join(tmpdir(), 'cinder-job-threads-'))
const storageUrl = join(base, 'objects')
const store = await openFilesystemStore(storageUrl)
const runner = createJobThreads({ log }, { threadsMax: 1, storageUrl })
after(async () => {
  await runner.stop()
  await rm(base, { recursive: true, force: true })
})

const NEVER = { signal: new AbortController().signal }
let objects = 0

async function sourcesOf(...profileCounts: number[]): Promise<SourceObject[]> {
  const sources: SourceObject[] = []
  for (const profiles of profileCounts)
    sources.push(
      await putObject(store, objects++, [
        { dataset: noisyDataset({ service: 'a', profiles, samples: 20 }), skip: [0] },
      ]),
    )
  return sources
}

/** What the worker says to its thread, and a way to answer. */
function fakeThread(answer: (question: ThreadQuestion, say: (reply: ThreadReply) => void) => void = () => undefined) {
  const heard: ThreadQuestion['kind'][] = []
  let isEnded = false
  const worker = {
    onmessage: undefined as ((event: { data: ThreadReply }) => void) | undefined,
    addEventListener: () => undefined,
    terminate: () => {
      isEnded = true
    },
    postMessage(question: ThreadQuestion) {
      heard.push(question.kind)
      answer(question, (data) => this.onmessage!({ data: structuredClone(data) }))
    },
  }
  return { heard, isEnded: () => isEnded, start: () => worker as unknown as Worker }
}

test('a thread writes the objects that this one would, with a store of its own', async () => {
  const sources = await sourcesOf(5, 3)
  const random = { bytes: (length: number) => new Uint8Array(length).fill(7) }
  const inline = createInlineRunner({ store, clock: createManualClock(1_760_000_000_000), random })
  const [own] = await inline.run(jobOf(sources), NEVER)
  const [threaded] = await runner.run(jobOf(sources), NEVER)
  assert.notEqual(threaded!.objectId, own!.objectId)
  assert.deepEqual(threaded!.datasets, own!.datasets)
  const bytes = await store.get(objectKey(threaded!.objectId))
  assert.deepEqual(verifyObject(bytes, createCodec()).datasets, threaded!.datasets)
})

test('a thread that merged a service before merges it again right: nothing that it keeps was given back with the sources', async () => {
  const own = createJobThreads({ log }, { threadsMax: 1, storageUrl })
  for (const counts of [[3, 2], [4, 4, 1], [3, 2], [9]]) {
    const sources = await sourcesOf(...counts)
    for (const level of [1, 5]) {
      const [output] = await own.run(jobOf(sources, level), NEVER)
      const { datasets } = verifyObject(await store.get(objectKey(output!.objectId)), createCodec())
      const profiles = datasets.reduce((sum, { profileCount }) => sum + profileCount, 0)
      // Each source skips one.
      assert.equal(profiles, counts.reduce((sum, count) => sum + count, 0) - counts.length)
    }
  }
  await own.stop()
})

test('a fault in the thread fails its job with kind, reason and culprits, and nothing stays; the next job works', async () => {
  const sources = await sourcesOf(4, 2)
  const { objectId } = sources[0]!
  const bytes = await store.get(objectKey(objectId))
  bytes[sources[0]!.datasets[0]!.descriptor.offset + 40]! ^= 1
  await writeFile(join(storageUrl, objectKey(objectId)), bytes)
  const before = await store.list(OBJECT_KEY_PREFIX)
  await assert.rejects(runner.run(jobOf(sources), NEVER), (error: JobFailure) => {
    assert.equal(error.kind, 'data_loss')
    assert.match(error.message, /tenant-a/)
    assert.deepEqual([error.failure, error.culprits], ['corrupt-source', [{ objectId, index: 0 }]])
    return true
  })
  assert.deepEqual(await store.list(OBJECT_KEY_PREFIX), before)
  await store.delete(objectKey(objectId))
  await assert.rejects(runner.run(jobOf(sources), NEVER), ({ failure, culprits }: JobFailure) => {
    assert.deepEqual([failure, culprits], ['missing-source', [{ objectId, index: 0 }]])
    return true
  })
  assert.equal((await runner.run(jobOf(sources.slice(1)), NEVER)).length, 1)
})

test('calls of its store are told, and progress of a job that holds much', async () => {
  const calls: EndedCall[] = []
  const own = createJobThreads({ log, onStoreCalls: (more) => calls.push(...more) }, { threadsMax: 1, storageUrl })
  await own.run(jobOf(await sourcesOf(2, 2, 2)), NEVER)
  await own.stop()
  assert.deepEqual(calls.map(({ operation, outcome }) => `${operation} ${outcome}`).sort(), [
    'get ok',
    'get ok',
    'get ok',
    'put ok',
  ])
  assert.ok(calls.every(({ durationMs }) => durationMs >= 0))
  const progress = { progress: 0, usedBytes: 0 }
  const fake = fakeThread((question, say) => {
    if (question.kind !== 'run') return
    say({ kind: 'progress', progress: 0.5, usedBytes: 77 })
    say({ kind: 'totals-fault', reason: 'they do not add up' })
    say({ kind: 'done', outputs: [] })
  })
  const faults: string[] = []
  const told = createJobThreads({ log, startThread: fake.start }, { threadsMax: 1, storageUrl })
  const onTotalsFault = (reason: string) => void faults.push(reason)
  assert.deepEqual(await told.run(jobOf([]), { ...NEVER, progress, onTotalsFault }), [])
  assert.deepEqual(faults, ['they do not add up'])
  assert.deepEqual(progress, { progress: 0.5, usedBytes: 77 })
})

test('a store that cannot be opened fails the job, not the thread', async () => {
  const missing = join(base, 'later')
  const own = createJobThreads({ log }, { threadsMax: 1, storageUrl: missing })
  const sources = await sourcesOf(3)
  await assert.rejects(own.run(jobOf(sources), NEVER), ({ failure }: JobFailure) => failure === 'missing-source')
  const unknown = createJobThreads({ log }, { threadsMax: 1, storageUrl: 'gopher://nowhere' })
  await assert.rejects(unknown.run(jobOf(sources), NEVER), /STORAGE_URL has the scheme/)
  await Promise.all([own.stop(), unknown.stop()])
})

test('a thread runs a job over a bucket with a client of its own', async () => {
  const fake = await startFakeS3()
  const keys = { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'secret' }
  Object.assign(process.env, keys)
  const url = `s3://bucket/prefix?endpoint=${fake.url}&region=eu-x-1`
  const bucket = await openThreadStore(url, { name: 'test', env: process.env })
  const sources = [await putObject(bucket, 1, [{ dataset: noisyDataset({ service: 'a', profiles: 4, samples: 20 }) }])]
  const calls: EndedCall[] = []
  const own = createJobThreads({ log, onStoreCalls: (more) => calls.push(...more) }, { threadsMax: 1, storageUrl: url })
  const [output] = await own.run(jobOf(sources), NEVER)
  verifyObject(await bucket.get(objectKey(output!.objectId)), createCodec())
  assert.deepEqual(
    calls.map(({ operation, outcome }) => `${operation} ${outcome}`),
    ['get ok', 'put ok'],
  )
  await own.stop()
})

test('a job that is cancelled ends without outputs, and its thread takes the next one', async () => {
  const cancel = new AbortController()
  assert.deepEqual(await runner.run(jobOf(await sourcesOf(2)), { signal: AbortSignal.abort() }), [])
  const sources = await sourcesOf(6, 6)
  const before = await store.list(OBJECT_KEY_PREFIX)
  const running = runner.run(jobOf(sources), { signal: cancel.signal })
  cancel.abort()
  const outputs = await running
  // It may have been done before it heard.
  assert.equal((await store.list(OBJECT_KEY_PREFIX)).length, before.length + outputs.length)
  assert.equal((await runner.run(jobOf(sources), NEVER)).length, 1)
})

test('a thread that does not end a cancelled job is ended, and its job fails; an answer before that is enough', async () => {
  const timers: (() => void)[] = []
  const hung = fakeThread()
  const own = createJobThreads(
    { log, startThread: hung.start, later: (_, run) => timers.push(run) },
    { threadsMax: 1, storageUrl },
  )
  const cancel = new AbortController()
  const failed = assert.rejects(own.run(jobOf([]), { signal: cancel.signal }), /does not end a job that was cancelled/)
  cancel.abort()
  assert.deepEqual(hung.heard, ['settings', 'run', 'cancel'])
  assert.deepEqual([timers.length, hung.isEnded()], [1, false])
  timers[0]!()
  await failed
  assert.ok(hung.isEnded())
  const { level, event, fields } = log.events.at(-1)!
  const why = 'it does not end a job that was cancelled'
  assert.deepEqual([level, event, fields], ['error', 'job thread replaced', { thread: 'jobs-1', why, jobId: '7' }])

  const slow = fakeThread((question, say) => question.kind === 'cancel' && say({ kind: 'done', outputs: [] }))
  const other = createJobThreads(
    { log, startThread: slow.start, later: (_, run) => timers.push(run) },
    { threadsMax: 1, storageUrl },
  )
  const again = new AbortController()
  const running = other.run(jobOf([]), { signal: again.signal })
  again.abort()
  assert.deepEqual(await running, [])
  timers[1]!()
  assert.ok(!slow.isEnded())
})

test('a thread without work is ended, one that had a job since its timer was set is looked at again', async () => {
  const timers: { readonly delayMs: number; readonly run: () => void }[] = []
  const threads = [1, 2].map(() =>
    fakeThread((question, say) => question.kind === 'run' && say({ kind: 'done', outputs: [] })),
  )
  let starts = 0
  const own = createJobThreads(
    { log, startThread: () => threads[starts++]!.start(), later: (delayMs, run) => timers.push({ delayMs, run }) },
    { threadsMax: 1, storageUrl },
  )
  const events = log.events.length
  await own.run(jobOf([]), NEVER)
  await own.run(jobOf([]), NEVER)
  assert.deepEqual(
    timers.map(({ delayMs }) => delayMs),
    [30_000],
  )
  timers[0]!.run()
  assert.deepEqual([timers.length, threads[0]!.isEnded()], [2, false])
  const busy = own.run(jobOf([]), NEVER)
  timers[1]!.run()
  await busy
  assert.deepEqual([timers.length, threads[0]!.isEnded()], [3, false])
  timers[2]!.run()
  assert.deepEqual([timers.length, starts, threads[0]!.isEnded()], [3, 1, true])
  await own.run(jobOf([]), NEVER)
  assert.deepEqual([timers.length, starts, threads[1]!.isEnded()], [4, 2, false])
  await own.stop()
  timers[3]!.run()
  assert.equal(timers.length, 4)
  // Nobody need know.
  assert.equal(log.events.length, events)
})

test('more jobs than threads are refused as busy, not queued', async () => {
  const sources = await sourcesOf(6)
  const running = runner.run(jobOf(sources), NEVER)
  await assert.rejects(runner.run(jobOf(sources), NEVER), (error: CinderError) => error.kind === 'resource_exhausted')
  assert.equal((await running).length, 1)
})

test('stop fails what runs', async () => {
  const own = createJobThreads({ log }, { threadsMax: 1, storageUrl })
  const failed = assert.rejects(own.run(jobOf(await sourcesOf(6)), NEVER), /stopping/)
  await own.stop()
  await failed
  await assert.rejects(own.run(jobOf([]), NEVER), (error: CinderError) => error.kind === 'unavailable')
})

test('a thread that ends without an error fails its job, and the next job has another', async () => {
  let starts = 0
  const startThread = () => {
    const ending = `self.onmessage = ({ data }) => data.kind === 'run' && process.exit(0)`
    const path = new URL('../../../apps/compaction-worker/job-thread.ts', import.meta.url).href
    return new Worker(starts++ === 0 ? URL.createObjectURL(new Blob([ending])) : path)
  }
  const own = createJobThreads({ log, startThread }, { threadsMax: 1, storageUrl })
  const sources = await sourcesOf(2)
  await assert.rejects(own.run(jobOf(sources), NEVER), /job thread died: it has ended/)
  assert.equal((await own.run(jobOf(sources), NEVER)).length, 1)
  await own.stop()
})

test('no temporary file stays behind the threads', async () => {
  assert.deepEqual(await readdir(join(storageUrl, '~tmp')), [])
})
