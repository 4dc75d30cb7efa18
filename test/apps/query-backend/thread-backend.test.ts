import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { createQueryBackend } from '../../../apps/query-backend/app.ts'
import { createLabelReporter } from '../../../apps/query-backend/labels.ts'
import type { RangeStore } from '../../../apps/query-backend/read-objects.ts'
import {
  createThreadBackend,
  type ThreadBackend,
  type ThreadBackendDeps,
  type ThreadBackendSettings,
} from '../../../apps/query-backend/thread-backend.ts'
import { localRootOf } from '../../../apps/query-backend/thread-reads.ts'
import { CinderError } from '#core/errors.ts'
import type { ObjectStore, StoreCallOptions } from '#core/ports/object-store.ts'
import { runAnswerTask } from '#core/query/answer-task.ts'
import type { SourceObject } from '#core/rpc/metastore.ts'
import type { StacktracesRequest } from '#core/rpc/query-backend.ts'
import { createCodec } from '#platform/codec.ts'
import type { EndedCall } from '#platform/metrics/metered-store.ts'
import { openFilesystemStore } from '#platform/object-store/filesystem.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import { WINDOW_START_MS } from '../../support/datasets.ts'
import { noisyDataset } from '../../support/noisy-dataset.ts'
import { putObject } from '../../support/objects.ts'
import { createSilentLog } from '../../support/silent-log.ts'

const CPU = ':cpu:nanoseconds:cpu:nanoseconds'

const opened: ThreadBackend[] = []
after(async () => {
  for (const backend of opened) await backend.stop()
})

const QUERY_THREAD = new URL('../../../apps/query-backend/query-thread.ts', import.meta.url).href

/** Takes what it is told and never says a word. */
function hungThread(): Worker {
  return new Worker(URL.createObjectURL(new Blob(['self.onmessage = () => { for (;;); }'])))
}

type Opened = Pick<ThreadBackendDeps, 'onStoreCalls'> &
  Partial<Pick<ThreadBackendSettings, 'threads' | 'localRoot'>> & { readonly isHung?: () => boolean }

function openThreads(store: RangeStore, { threads = 1, isHung = () => false, localRoot, ...deps }: Opened = {}) {
  const started: Worker[] = []
  const timers: (() => void)[] = []
  const startThread = (): Worker => {
    const worker = isHung() ? hungThread() : new Worker(QUERY_THREAD)
    started.push(worker)
    return worker
  }
  const settings = { threads, cacheBytesMax: 0, keepsReports: false, localRoot }
  const later = (_delayMs: number, run: () => void) => void timers.push(run)
  const backend = createThreadBackend({ store, log: createSilentLog(), startThread, later, ...deps }, settings)
  opened.push(backend)
  return { backend, started, passTime: () => timers.splice(0).forEach((run) => run()) }
}

async function objectsIn(store: ObjectStore, count: number): Promise<SourceObject[]> {
  const objects: SourceObject[] = []
  for (let n = 0; n < count; n++)
    objects.push(
      await putObject(store, n, [{ dataset: noisyDataset({ service: `s${n % 3}`, profiles: 4, samples: 30 }) }]),
    )
  return objects
}

function stacktraces(objects: SourceObject[]): StacktracesRequest {
  return { profileType: CPU, matchers: [], startMs: WINDOW_START_MS, endMs: WINDOW_START_MS + 3_600_000, objects }
}

const kindOf = (kind: string) => (error: CinderError) => error.kind === kind

/** Reads wait until they are let go, or end with their signal. */
function heldStore(inner: RangeStore) {
  const waiting: (() => void)[] = []
  let read = Promise.withResolvers<void>()
  let ended = 0
  const store: RangeStore = {
    async getRange(key, offset, lengthBytes, options?: StoreCallOptions) {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      waiting.push(resolve)
      options?.signal?.addEventListener('abort', () => {
        ended++
        reject(new CinderError('canceled', 'the read was ended'))
      })
      read.resolve()
      await promise
      return inner.getRange(key, offset, lengthBytes)
    },
  }
  return {
    store,
    ended: () => ended,
    waiting: () => waiting.length,
    async nextRead() {
      await read.promise
      read = Promise.withResolvers()
    },
    letGo: () => waiting.splice(0).forEach((resolve) => resolve()),
  }
}

test('label sets, tasks of answers and gzip are the same from a thread', async () => {
  const store = createMemoryStore()
  const objects = await objectsIn(store, 3)
  const regex = createRegexCompiler()
  const { backend } = openThreads(store, { threads: 2 })
  const wish = { objects, startMs: WINDOW_START_MS, endMs: WINDOW_START_MS, matchers: [], names: [], namesOnly: false }
  const labels = await backend.labels(wish)
  assert.ok(labels.sets.length >= 3)
  assert.deepEqual(labels, await createLabelReporter({ store, codec: createCodec(), regex }).labels(wish))
  const { tree } = await backend.stacktraces(stacktraces(objects))
  const task = (part: Uint8Array) =>
    ({ kind: 'flame-graph', parts: [part], nodesMax: 10_000, maxNodes: 8, as: 'json' }) as const
  const graph = runAnswerTask(task(tree.slice()))
  assert.deepEqual(await backend.work.run(task(tree)), graph)
  assert.equal(tree.length, 0, 'its buffer was given away')
  assert.deepEqual(new Uint8Array(gunzipSync(await backend.gzip(graph))), graph)
  const few = {
    kind: 'fold-trees',
    parts: [(await backend.stacktraces(stacktraces(objects))).tree],
    nodesMax: 2,
  } as const
  await assert.rejects(backend.work.run(few), { kind: 'invalid_argument', reason: 'tree_nodes_limit' })
})

test('local files are read by the thread itself, and counted', async () => {
  const root = await mkdtemp(join(tmpdir(), 'cinder-thread-reads-'))
  const store = await openFilesystemStore(root)
  const objects = await objectsIn(store, 2)
  const loop = createQueryBackend({ store, codec: createCodec(), regex: createRegexCompiler() })
  const calls: EndedCall[] = []
  const unread: RangeStore = { getRange: () => assert.fail('the loop was asked for a range') }
  const onStoreCalls = (ended: readonly EndedCall[]) => void calls.push(...ended)
  const { backend } = openThreads(unread, { localRoot: localRootOf(root), onStoreCalls })
  const answer = await backend.stacktraces(stacktraces(objects))
  assert.deepEqual(answer, await loop.stacktraces(stacktraces(objects)))
  assert.equal(calls.length, answer.stats.ranges)
  assert.equal(
    calls.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    answer.stats.bytes,
  )
  const gone = [{ ...objects[0]!, objectId: '01JAB3VW7Z0000000000000009' }]
  await assert.rejects(backend.stacktraces(stacktraces(gone)), kindOf('not_found'))
  assert.equal(calls.at(-1)?.outcome, 'not_found')
  await rm(root, { recursive: true })
})

test('a remote store is asked for in the loop', () => {
  assert.equal(localRootOf('s3://bucket/prefix'), undefined)
  assert.equal(localRootOf('file:///var/cinder'), '/var/cinder')
})

test('an answer that is ended in a thread is that of the loop', async () => {
  const store = createMemoryStore()
  const objects = await objectsIn(store, 2)
  const loop = createQueryBackend({ store, codec: createCodec(), regex: createRegexCompiler() })
  const { backend } = openThreads(store)
  const request = stacktraces(objects)
  const tree = { ...request, end: { kind: 'flame-graph', nodesMax: 1_000, maxNodes: 8, as: 'proto' } } as const
  const range = { startMs: request.startMs, endMs: request.endMs, stepMs: 1_000 }
  const ofSeries = { kind: 'series', range, aggregation: 'sum', limit: 0, as: 'proto' } as const
  const series = { ...request, ...range, groupBy: ['service_name'], end: ofSeries }
  const cpu = { type: 'cpu', unit: 'nanoseconds' }
  const header = { sampleType: cpu, periodType: cpu, period: 1n, timeNanos: 2n }
  const ofStacks = { kind: 'pprof', nodesMax: 1_000, maxNodes: undefined, leaves: undefined, header } as const
  const stacks = { ...request, end: ofStacks }
  const answers = [
    await backend.stacktraces(tree),
    await backend.timeSeries(series),
    await backend.mergeProfile(stacks),
  ]
  const expected = [await loop.stacktraces(tree), await loop.timeSeries(series), await loop.mergeProfile(stacks)]
  assert.deepEqual(answers, expected)
  for (const { ended } of answers) assert.ok(ended !== undefined && ('bytes' in ended ? ended.bytes : ended).length > 0)
  await assert.rejects(backend.stacktraces({ ...tree, end: { ...tree.end, nodesMax: 2 } }), {
    kind: 'invalid_argument',
    reason: 'tree_nodes_limit',
  })
})

test('what ends a query goes before calls that wait', async () => {
  const store = createMemoryStore()
  const held = heldStore(store)
  const { backend } = openThreads(held.store)
  const objects = await objectsIn(store, 1)
  const order: string[] = []
  const calls = Array.from({ length: 6 }, (_, i) =>
    backend.stacktraces(stacktraces(objects)).then(() => void order.push(`call ${i}`)),
  )
  while (held.waiting() < 4) await held.nextRead()
  const zipped = ['gzip', 'next', 'last'].map((name) =>
    backend.gzip(new Uint8Array(10)).then(() => void order.push(name)),
  )
  held.letGo()
  await Promise.all(zipped)
  while (held.waiting() < 2) await held.nextRead()
  held.letGo()
  await Promise.all(calls)
  assert.ok(order.indexOf('last') < order.indexOf('call 4'), order.join(', '))
  const ending = order.filter((name) => !name.startsWith('call'))
  assert.deepEqual(ending, ['gzip', 'next', 'last'], 'who came first: none waits for ever while others come')
})

test('threads answer as the loop does, bytes and statistics', async () => {
  const store = createMemoryStore()
  const objects = await objectsIn(store, 6)
  const loop = createQueryBackend({ store, codec: createCodec(), regex: createRegexCompiler() })
  const { backend, started } = openThreads(store, { threads: 2 })
  const request = stacktraces(objects)
  const grid = { ...request, originMs: request.startMs, stepMs: 1_000, groupBy: ['service_name'] }
  const points = { ...grid, spans: false, exemplars: true, best: false }
  for (const rotated of [objects, objects.slice(1), objects.slice(2)]) {
    const [tree, stacks] = [
      await backend.stacktraces({ ...request, objects: rotated }),
      await backend.mergeProfile(request),
    ]
    assert.deepEqual(tree, await loop.stacktraces({ ...request, objects: rotated }))
    assert.deepEqual(stacks, await loop.mergeProfile(request))
  }
  const series = await backend.timeSeries(grid)
  assert.ok(series.series.length === 3 && series.series.every(({ sums }) => sums.length > 1))
  assert.deepEqual(series, await loop.timeSeries(grid))
  const answered = await backend.points(points)
  assert.ok(answered.series.some(({ exemplars }) => exemplars.length > 0))
  assert.deepEqual(answered, await loop.points(points))
  assert.deepEqual(await backend.timeSeries({ ...grid, objects: [] }), await loop.timeSeries({ ...grid, objects: [] }))
  assert.deepEqual(await backend.points({ ...points, objects: [] }), await loop.points({ ...points, objects: [] }))
  assert.equal(started.length, 2, 'objects spread over both')
})

test('a fault of an object and one of the request come back with their kind and reason', async () => {
  const store = createMemoryStore()
  const [object] = await objectsIn(store, 1)
  const { backend } = openThreads(store)
  const gone = { ...object!, objectId: '01ARZ3NDEKTSV4RRFFQ69G5FAV' }
  await assert.rejects(backend.stacktraces(stacktraces([gone])), kindOf('not_found'))
  const matchers = [{ name: 'a', op: '=~', value: '(' }]
  await assert.rejects(backend.stacktraces({ ...stacktraces([object!]), matchers }), kindOf('invalid_argument'))
  assert.equal((await backend.stacktraces(stacktraces([object!]))).stats.profiles, 4)
})

test('a client that leaves is told so before its reads come back, and they are ended (H75)', async () => {
  const inner = createMemoryStore()
  const objects = await objectsIn(inner, 12)
  const held = heldStore(inner)
  const { backend } = openThreads(held.store)
  const client = new AbortController()
  const answer = backend.stacktraces(stacktraces(objects), client.signal)
  await held.nextRead()
  client.abort()
  await assert.rejects(answer, kindOf('canceled'))
  assert.ok(held.ended() > 0, 'reads in flight are ended')
  await assert.rejects(backend.stacktraces(stacktraces(objects), client.signal), kindOf('canceled'))
  held.letGo()
  // The slot is free again, and its flag is down.
  const next = backend.stacktraces(stacktraces(objects.slice(0, 1)))
  for (let reads = held.waiting(); reads === 0; reads = held.waiting()) await held.nextRead()
  held.letGo()
  assert.equal((await next).stats.profiles, 4)
})

test('one that leaves while its call waits for a thread was never begun', async () => {
  const inner = createMemoryStore()
  const objects = await objectsIn(inner, 1)
  const held = heldStore(inner)
  const { backend } = openThreads(held.store)
  const first = Array.from({ length: 4 }, () => backend.stacktraces(stacktraces(objects)))
  const client = new AbortController()
  const late = backend.stacktraces(stacktraces(objects), client.signal)
  client.abort()
  await assert.rejects(late, kindOf('canceled'))
  while (held.waiting() < 4) await held.nextRead()
  assert.equal(held.waiting(), 4)
  held.letGo()
  for (const answer of first) assert.equal((await answer).stats.objects, 1)
})

test('past the calls that may wait the next one is refused with a time to come back', async () => {
  const inner = createMemoryStore()
  const objects = await objectsIn(inner, 1)
  const held = heldStore(inner)
  const { backend } = openThreads(held.store)
  const client = new AbortController()
  const many = Array.from({ length: 4 + 256 }, () => backend.stacktraces(stacktraces(objects), client.signal))
  const ends = many.map((each) => assert.rejects(each, kindOf('canceled')))
  await assert.rejects(backend.stacktraces(stacktraces(objects)), (error: CinderError) => {
    assert.deepEqual([error.kind, error.reason, error.retryAfterMs], ['resource_exhausted', 'query_threads', 1_000])
    return true
  })
  client.abort()
  await Promise.all(ends)
})

test('a thread that dies fails what it had as retryable; what waits and what comes goes to the next', async () => {
  const inner = createMemoryStore()
  const objects = await objectsIn(inner, 1)
  const held = heldStore(inner)
  const { backend, started } = openThreads(held.store)
  const lost = Array.from({ length: 4 }, () => backend.stacktraces(stacktraces(objects)))
  const ends = lost.map((each) => assert.rejects(each, kindOf('unavailable')))
  const waits = backend.stacktraces(stacktraces(objects))
  while (held.waiting() < 4) await held.nextRead()
  started[0]!.terminate()
  await Promise.all(ends)
  held.letGo()
  while (held.waiting() === 0) await held.nextRead()
  held.letGo()
  assert.equal((await waits).stats.profiles, 4)
  assert.equal(started.length, 2)
})

test('a thread that does not end what nobody waits for is replaced, so that its slots are not lost', async () => {
  const store = createMemoryStore()
  const objects = await objectsIn(store, 1)
  let isHung = true
  const { backend, started, passTime } = openThreads(store, { isHung: () => isHung })
  const client = new AbortController()
  const left = Array.from({ length: 4 }, () => backend.stacktraces(stacktraces(objects), client.signal))
  const ends = left.map((each) => assert.rejects(each, kindOf('canceled')))
  const waits = backend.stacktraces(stacktraces(objects))
  client.abort()
  await Promise.all(ends)
  isHung = false
  passTime()
  assert.equal((await waits).stats.profiles, 4)
  assert.equal(started.length, 2)
})

test('a thread that ended what was left is not replaced', async () => {
  const inner = createMemoryStore()
  const objects = await objectsIn(inner, 1)
  const held = heldStore(inner)
  const { backend, started, passTime } = openThreads(held.store)
  const client = new AbortController()
  const left = backend.stacktraces(stacktraces(objects), client.signal)
  await held.nextRead()
  client.abort()
  await assert.rejects(left, kindOf('canceled'))
  held.letGo()
  // Four slots: the fourth of these has that of the call that was left, or another one; all of them answer.
  const next = Array.from({ length: 4 }, () => backend.stacktraces(stacktraces(objects)))
  while (held.waiting() < 4) await held.nextRead()
  passTime()
  held.letGo()
  for (const answer of next) assert.equal((await answer).stats.profiles, 4)
  assert.equal(started.length, 1)
})

test('threads run before the first call where they are told to, and each once', async () => {
  const store = createMemoryStore()
  const objects = await objectsIn(store, 4)
  const { backend, started } = openThreads(store, { threads: 2 })
  assert.equal(started.length, 0)
  backend.start()
  backend.start()
  assert.equal(started.length, 2)
  await Promise.all(objects.map((object) => backend.stacktraces(stacktraces([object]))))
  assert.equal(started.length, 2, 'calls go to those that run')
  await backend.stop()
  backend.start()
  assert.equal(started.length, 2, 'nothing begins after the stop')
})

test('stop fails what runs and what waits, and nothing begins after it', async () => {
  const inner = createMemoryStore()
  const objects = await objectsIn(inner, 1)
  const { backend } = openThreads(heldStore(inner).store)
  const ends = Array.from({ length: 6 }, () =>
    assert.rejects(backend.stacktraces(stacktraces(objects)), kindOf('unavailable')),
  )
  await Promise.resolve()
  await backend.stop()
  await Promise.all(ends)
  await assert.rejects(backend.stacktraces(stacktraces(objects)), kindOf('unavailable'))
})
