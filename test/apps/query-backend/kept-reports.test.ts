import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createQueryBackend } from '../../../apps/query-backend/app.ts'
import type { CinderError } from '#core/errors.ts'
import { encodeMergedPprof } from '#core/pprof/encode-merged.ts'
import { mergeDatasets } from '#core/compaction/merge.ts'
import { BlockCache } from '#core/query/block-cache.ts'
import { StackProfile } from '#core/query/stack-profile.ts'
import type { SourceObject } from '#core/rpc/metastore.ts'
import type { TimeSeries } from '#core/rpc/query-backend.ts'
import { createCodec } from '#platform/codec.ts'
import { countingStore } from '#platform/object-store/counting.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import { arbitraryDataset, WINDOW_START_MS } from '../../support/datasets.ts'
import { noisyDataset } from '../../support/noisy-dataset.ts'
import { putObject } from '../../support/objects.ts'
import { stacksOf } from '../../support/write-path.ts'

const CPU = ':cpu:nanoseconds:cpu:nanoseconds'
const HOUR_MS = 3_600_000
const MIB = 1024 * 1024

function openBackends(cacheBytes = MIB) {
  const store = countingStore(createMemoryStore())
  const deps = { store, codec: createCodec(), regex: createRegexCompiler() }
  const cache = new BlockCache(cacheBytes)
  return {
    store,
    cache,
    plain: createQueryBackend(deps),
    // As in a thread: what was read is given back at once, and what is kept must not point into it.
    keeping: createQueryBackend({ ...deps, cache, keepsReports: true, freesRanges: true }),
    withoutReports: createQueryBackend({ ...deps, cache }),
  }
}

type Backend = ReturnType<typeof createQueryBackend>

interface Question {
  readonly startMs: number
  readonly endMs: number
  readonly stepMs: number
  readonly matchers: { name: string; op: string; value: string }[]
  readonly groupBy: string[]
}

/** Content only: rows and series of merged answers have no order. */
async function answersOf(backend: Backend, objects: SourceObject[], question: Question): Promise<unknown> {
  const asked = { profileType: CPU, objects, ...question }
  const tree = await backend.stacktraces(asked)
  const profile = new StackProfile()
  profile.mergeEncoded((await backend.mergeProfile(asked)).stacks)
  const taken = profile.take()
  const header = { sampleType: { type: 'cpu', unit: 'ns' }, periodType: { type: 'cpu', unit: 'ns' } }
  const { series } = await backend.timeSeries(asked)
  return {
    stacks: stacksOf(tree.tree),
    pprof: taken && encodeMergedPprof(taken.symbols, taken.sums, { ...header, period: 1n, timeNanos: 0n }),
    series: series.map(plainSeries).sort(),
  }
}

function plainSeries({ labels, stepIndexes, sums, counts }: TimeSeries): string {
  return JSON.stringify([labels, stepIndexes, sums.map(String), counts])
}

test('what is kept changes no answer, whatever is asked in whatever order', async () => {
  const part = fc.record({ dataset: arbitraryDataset(), skips: fc.boolean() })
  const question = fc.record({
    // Few of each, so that questions come again; on the minute and beside it.
    startMs: fc.constantFrom(-HOUR_MS, 0, 60_000, 90_000, 1_800_000).map((ms) => WINDOW_START_MS + ms),
    lengthMs: fc.constantFrom(600_000, HOUR_MS, 2 * HOUR_MS),
    stepMs: fc.constantFrom(15_000, 60_000, 7_777),
    matchers: fc.constantFrom<Question['matchers'][]>([], [{ name: 'pod', op: '=', value: 'pod-1' }]),
    groupBy: fc.constantFrom<string[][]>([], ['pod']),
  })
  await fc.assert(
    fc.asyncProperty(
      fc.array(part, { minLength: 1, maxLength: 4 }),
      fc.array(question, { minLength: 3, maxLength: 9 }),
      fc.constantFrom(3_000, MIB),
      async (parts, questions, cacheBytes) => {
        const { store, cache, plain, keeping } = openBackends(cacheBytes)
        const objects: SourceObject[] = []
        for (const [n, { dataset, skips }] of parts.entries()) {
          const merged = n % 2 === 0 ? { dataset } : mergeDatasets([{ dataset, skip: [] }])
          objects.push(await putObject(store, n, [{ ...merged, skip: skips ? [0] : [] }], n % 2))
        }
        for (const { lengthMs, ...asked } of [...questions, ...questions]) {
          const wish = { ...asked, endMs: asked.startMs + lengthMs }
          const some = objects.slice(asked.startMs % 3 === 0 ? 0 : 1)
          assert.deepEqual(await answersOf(keeping, some, wish), await answersOf(plain, some, wish))
          assert.ok(cache.sizeBytes <= cacheBytes)
        }
      },
    ),
    { numRuns: 12 },
  )
})

test('a question that comes again reads what is new alone', async () => {
  const { store, keeping } = openBackends()
  const small = await putObject(store, 1, [{ dataset: noisyDataset({ service: 'shop', profiles: 3, samples: 30 }) }])
  const other = await putObject(store, 2, [{ dataset: noisyDataset({ service: 'shop', profiles: 5, samples: 20 }) }])
  const told: (number | undefined)[][] = []
  const ask = async (objects: SourceObject[], endMs = WINDOW_START_MS + HOUR_MS) => {
    store.takeCounts()
    const { stats } = await keeping.stacktraces({
      profileType: CPU,
      matchers: [],
      startMs: WINDOW_START_MS,
      endMs,
      objects,
    })
    const { objects: read, profiles, keptHeads, keptReports } = stats
    told.push([keptHeads, keptReports])
    return { bytes: store.takeCounts().rangeBytes, read, profiles }
  }
  const first = await ask([small])
  assert.deepEqual([first.read, first.profiles], [1, 3])
  const second = await ask([small])
  assert.ok(second.bytes * 2 < first.bytes, `${second.bytes} bytes: head and symbols are kept`)
  // A longer range is the same question of an object that lies inside both.
  assert.deepEqual(await ask([small], WINDOW_START_MS + 2 * HOUR_MS), { bytes: 0, read: 0, profiles: 3 })
  const grown = await ask([small, other])
  assert.deepEqual([grown.read, grown.profiles], [1, 8])
  assert.deepEqual(told, [
    [undefined, undefined],
    [1, undefined],
    [undefined, 1],
    [undefined, 1],
  ])
  const cut = await ask([small], WINDOW_START_MS + 1_000)
  assert.deepEqual([cut.read, cut.profiles], [1, 2], 'an end that cuts the object is read')
})

test('with reports switched off every question reads its samples', async () => {
  const { store, withoutReports } = openBackends()
  const object = await putObject(store, 1, [{ dataset: noisyDataset({ service: 'shop', profiles: 3, samples: 30 }) }])
  const asked = { profileType: CPU, matchers: [], startMs: WINDOW_START_MS, endMs: WINDOW_START_MS + HOUR_MS }
  for (let i = 0; i < 4; i++) {
    store.takeCounts()
    const { stats } = await withoutReports.stacktraces({ ...asked, objects: [object] })
    assert.equal(stats.objects, 1)
    assert.ok(stats.samples > 0 && store.takeCounts().rangeBytes > 0)
  }
})

test('what one tenant brought into the cache another cannot ask for by its place (H78)', async () => {
  const { store, keeping } = openBackends()
  const object = await putObject(store, 1, [{ dataset: noisyDataset({ service: 'shop', profiles: 3, samples: 30 }) }])
  const asked = { profileType: CPU, matchers: [], startMs: WINDOW_START_MS, endMs: WINDOW_START_MS + HOUR_MS }
  for (let i = 0; i < 3; i++) await keeping.stacktraces({ ...asked, objects: [object] })
  const [dataset] = object.datasets
  for (const identity of [{ tenant: 'thief' }, { service: 'other' }]) {
    const stolen = { ...object, datasets: [{ ...dataset!, descriptor: { ...dataset!.descriptor, ...identity } }] }
    await assert.rejects(
      keeping.stacktraces({ ...asked, objects: [stolen] }),
      (error: CinderError) => error.kind === 'data_loss',
    )
  }
})

test('a skip list that grew makes another report', async () => {
  const { store, keeping, plain } = openBackends()
  const object = await putObject(store, 1, [{ dataset: noisyDataset({ service: 'shop', profiles: 3, samples: 30 }) }])
  const skipping = { ...object, datasets: object.datasets.map((dataset) => ({ ...dataset, skip: [1] })) }
  const wish = { startMs: WINDOW_START_MS, endMs: WINDOW_START_MS + HOUR_MS, stepMs: 60_000, matchers: [], groupBy: [] }
  for (const objects of [[object], [skipping], [object], [skipping], [object], [skipping]])
    assert.deepEqual(await answersOf(keeping, objects, wish), await answersOf(plain, objects, wish))
})

test('a mark and a report count what their keys take: a question of all services names every dataset', async () => {
  const { store, cache } = openBackends()
  const taken: boolean[] = []
  const watched = {
    get: (key: string) => cache.get(key),
    set(key: string, value: unknown, sizeBytes: number) {
      if (key.startsWith('report ')) taken.push(sizeBytes >= key.length * 2)
      cache.set(key, value, sizeBytes)
    },
  } as BlockCache
  const deps = { store, codec: createCodec(), regex: createRegexCompiler() }
  const backend = createQueryBackend({ ...deps, cache: watched, keepsReports: true })
  const datasets = Array.from({ length: 12 }, (_, i) => ({
    dataset: noisyDataset({ service: `s${i} ${'long'.repeat(50)}`, profiles: 1, samples: 3 }),
  }))
  const objects = [await putObject(store, 1, datasets)]
  const range = { startMs: WINDOW_START_MS - 1, endMs: WINDOW_START_MS + HOUR_MS }
  for (let i = 0; i < 2; i++) await backend.stacktraces({ profileType: CPU, matchers: [], ...range, objects })
  assert.deepEqual(taken, [true, true])
})
