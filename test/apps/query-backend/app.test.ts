import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createQueryBackend } from '../../../apps/query-backend/app.ts'
import { mergeDatasets } from '#core/compaction/merge.ts'
import type { CinderError } from '#core/errors.ts'
import { objectKey } from '#core/block/object-key.ts'
import type { Dataset } from '#core/block/dataset.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { SourceObject } from '#core/rpc/metastore.ts'
import type { StacktracesRequest } from '#core/rpc/query-backend.ts'
import { createCodec } from '#platform/codec.ts'
import { countingStore } from '#platform/object-store/counting.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import { arbitraryDataset, WINDOW_START_MS } from '../../support/datasets.ts'
import { faultyStore } from '../../support/faulty-store.ts'
import { noisyDataset } from '../../support/noisy-dataset.ts'
import { putObject } from '../../support/objects.ts'
import { stacksOf } from '../../support/write-path.ts'

const CPU = ':cpu:nanoseconds:cpu:nanoseconds'
const KIB = 1024

function request(objects: SourceObject[], more: Partial<StacktracesRequest> = {}): StacktracesRequest {
  const endMs = WINDOW_START_MS + 3_600_000
  return { profileType: CPU, matchers: [], startMs: WINDOW_START_MS, endMs, objects, ...more }
}

const backendOf = (store: ObjectStore) =>
  createQueryBackend({ store, codec: createCodec(), regex: createRegexCompiler() })
const points = (objects: SourceObject[], more: Partial<StacktracesRequest> = {}) => ({
  ...request(objects, more),
  stepMs: 3_600_000,
  groupBy: [] as string[],
})

const bigDataset = (service: string, profiles: number, samples: number): Dataset =>
  noisyDataset({ service, profiles, samples })

test('a small segment is one range, read once', async () => {
  const store = countingStore(createMemoryStore())
  const object = await putObject(
    store,
    1,
    ['a', 'b', 'c'].map((service) => ({ dataset: bigDataset(service, 2, 20) })),
  )
  store.takeCounts()
  const { stats } = await backendOf(store).stacktraces(request([object]))
  const { ranges, rangeBytes, gets, heads, lists } = store.takeCounts()
  assert.deepEqual([ranges, gets, heads, lists], [1, 0, 0, 0])
  assert.ok(rangeBytes <= object.sizeBytes)
  assert.deepEqual([stats.objects, stats.ranges, stats.bytes, stats.datasets, stats.profiles], [1, 1, rangeBytes, 3, 6])
  assert.ok(stats.samples >= 6 * 15, `${stats.samples} rows`)
})

test('one service of sixteen costs one range over its dataset alone', async () => {
  const store = countingStore(createMemoryStore())
  const datasets = Array.from({ length: 16 }, (_, i) => ({ dataset: bigDataset(`s${10 + i}`, 2, 40) }))
  const object = await putObject(store, 1, datasets)
  store.takeCounts()
  const wanted = object.datasets[7]!
  await backendOf(store).stacktraces(request([{ ...object, datasets: [wanted] }]))
  const { ranges, rangeBytes } = store.takeCounts()
  assert.deepEqual([ranges, rangeBytes], [1, wanted.descriptor.sizeBytes])
  assert.ok(rangeBytes * 10 < object.sizeBytes, `${rangeBytes} of ${object.sizeBytes} bytes`)
})

test('a large object is read in at most two rounds, and not whole', async () => {
  const store = countingStore(createMemoryStore())
  const { dataset, functionLevel } = mergeDatasets([{ dataset: bigDataset('shop', 120, 600), skip: [] }])
  const object = await putObject(store, 1, [{ dataset, functionLevel }], 1)
  const { sizeBytes, headBytes } = object.datasets[0]!.descriptor
  assert.ok(sizeBytes > 128 * KIB, `${sizeBytes} bytes are large`)
  store.takeCounts()
  const { stats } = await backendOf(store).stacktraces(request([object]))
  const whole = store.takeCounts()
  assert.ok(whole.ranges <= 3, `${whole.ranges} ranges`)
  // The line-level tree and the other type's values are left out.
  assert.ok(whole.rangeBytes < 0.66 * sizeBytes, `${whole.rangeBytes} of ${sizeBytes} bytes`)
  assert.equal(stats.profiles, 120)

  const { stats: heads } = await backendOf(store).timeSeries(points([object]))
  const series = store.takeCounts()
  assert.deepEqual([series.ranges, series.rangeBytes, heads.samples], [1, headBytes, 0])

  await backendOf(store).stacktraces(request([object], { startMs: 0, endMs: WINDOW_START_MS - 1 }))
  const nothing = store.takeCounts()
  assert.deepEqual([nothing.ranges, nothing.rangeBytes], [1, headBytes], 'nothing selected: no second round')
  console.log(
    `large object: ${sizeBytes} bytes, flame graph reads ${whole.rangeBytes} in ${whole.ranges} ranges, series ${headBytes}`,
  )
})

test('time series read heads alone, of small datasets too', async () => {
  const store = countingStore(createMemoryStore())
  const object = await putObject(store, 1, [{ dataset: bigDataset('shop', 10, 300) }])
  const { sizeBytes, headBytes } = object.datasets[0]!.descriptor
  assert.ok(sizeBytes < 128 * KIB)
  store.takeCounts()
  await backendOf(store).timeSeries(points([object]))
  assert.equal(store.takeCounts().rangeBytes, headBytes)
  assert.ok(headBytes * 4 < sizeBytes, `${headBytes} of ${sizeBytes} bytes`)
})

test('a missing object is not_found, a short or flipped one data_loss: never a partial answer (H26)', async () => {
  const store = createMemoryStore()
  const good = await putObject(store, 1, [{ dataset: bigDataset('shop', 3, 30) }])
  const bad = await putObject(store, 2, [{ dataset: bigDataset('shop', 3, 30) }])
  const key = objectKey(bad.objectId)
  const bytes = await store.get(key)
  const fails = (kind: string) => (error: CinderError) => error.kind === kind
  const { descriptor } = bad.datasets[0]!
  for (let at = descriptor.offset; at < descriptor.offset + descriptor.sizeBytes; at += 97) {
    const flipped = bytes.slice()
    flipped[at]! ^= 1 << (at % 8)
    await store.put(key, flipped)
    const answer = backendOf(store).stacktraces(request([good, bad]))
    // Bytes that a flame graph does not read, or does not need to be right, may be wrong: then it must be the answer.
    const outcome = await answer.then(
      ({ tree }) => stacksOf(tree),
      (error: CinderError) => {
        assert.ok(error.message.includes(bad.objectId), error.message)
        return error.kind
      },
    )
    if (typeof outcome === 'string') assert.equal(outcome, 'data_loss', `byte ${at}`)
    else assert.deepEqual(outcome, stacksOf((await backendOf(store).stacktraces(request([good, { ...good }]))).tree))
  }
  await store.put(key, bytes.slice(0, descriptor.offset + 100))
  await assert.rejects(backendOf(store).stacktraces(request([good, bad])), fails('data_loss'))
  await store.delete(key)
  await assert.rejects(backendOf(store).stacktraces(request([good, bad])), fails('not_found'))
  await assert.rejects(backendOf(store).timeSeries(points([good, bad])), fails('not_found'))
})

test('a client that leaves stops the reads, and gets no partial answer (H75)', async () => {
  const inner = countingStore(createMemoryStore())
  const store = faultyStore(inner)
  const objects: SourceObject[] = []
  for (let i = 0; i < 40; i++) objects.push(await putObject(inner, i, [{ dataset: bigDataset('shop', 1, 5) }]))
  inner.takeCounts()
  const gone = new AbortController()
  const stall = store.stallNext('getRange')
  const answer = backendOf(store).stacktraces(request(objects), gone.signal)
  await stall.reached
  gone.abort()
  stall.release()
  await assert.rejects(answer, (error: CinderError) => error.kind === 'canceled')
  assert.ok(inner.takeCounts().ranges <= 8, 'no more than what was read ahead')

  for (const call of [
    () => backendOf(store).stacktraces(request(objects), gone.signal),
    () => backendOf(store).timeSeries(points(objects), gone.signal),
    () => backendOf(store).timeSeries(points(objects, { profileType: 'none:cpu:x:y:z' }), gone.signal),
  ])
    await assert.rejects(call(), (error: CinderError) => error.kind === 'canceled')
  assert.equal(inner.takeCounts().ranges, 0)
})

test('segments with skip lists answer as their merge does', async () => {
  const withSkip = arbitraryDataset().chain((dataset) =>
    fc.record({
      dataset: fc.constant(dataset),
      skip: fc
        .subarray(
          Array.from({ length: dataset.headers.count }, (_, i) => i),
          { maxLength: dataset.headers.count - 1 },
        )
        .map((positions) => positions.sort((a, b) => a - b)),
    }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(withSkip, { minLength: 1, maxLength: 4 }), async (inputs) => {
      const store = createMemoryStore()
      const segments: SourceObject[] = []
      for (const [i, input] of inputs.entries()) segments.push(await putObject(store, i, [input]))
      const merged = await putObject(store, 99, [mergeDatasets(inputs)], 1)
      const backend = backendOf(store)
      const matchers = [{ name: 'pod', op: '=~', value: 'pod-[0-2]' }]
      const ask = async (objects: SourceObject[]) => ({
        stacks: stacksOf((await backend.stacktraces(request(objects, { matchers }))).tree),
        series: (
          await backend.timeSeries({ ...points(objects, { matchers }), stepMs: 600_000, groupBy: ['pod'] })
        ).series
          .map(({ labels, ...series }) => ({ pod: labels[0]?.value ?? '', ...series }))
          .sort((a, b) => (a.pod < b.pod ? -1 : 1)),
      })
      assert.deepEqual(await ask([merged]), await ask(segments))
    }),
    { numRuns: 40 },
  )
})

test('a matcher that does not compile is the caller’s fault', async () => {
  const matchers = [{ name: 'pod', op: '=~', value: '(' }]
  await assert.rejects(
    backendOf(createMemoryStore()).stacktraces(request([], { matchers })),
    (error: CinderError) => error.kind === 'invalid_argument',
  )
})
