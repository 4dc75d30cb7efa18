import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Hono } from 'hono'
import { mergeDatasets } from '#core/compaction/merge.ts'
import { CinderError } from '#core/errors.ts'
import type { StoreCallOptions } from '#core/ports/object-store.ts'
import { createCodec } from '#platform/codec.ts'
import { createLabelReportClient, mountLabelReport } from '#platform/connect/label-service.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { countingStore } from '#platform/object-store/counting.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import { objectKey } from '#core/block/object-key.ts'
import { createLabelReporter } from '../../../apps/query-backend/labels.ts'
import { CPU_GROUP, makeDataset, makeLabels, WINDOW_START_MS, WINDOW_START_NANOS } from '../../support/datasets.ts'
import { putObject } from '../../support/objects.ts'
import { createSilentLog } from '../../support/silent-log.ts'

const codec = createCodec()
const store = countingStore(createMemoryStore())
const reporter = createLabelReporter({ store, codec, regex: createRegexCompiler() })
const app = new Hono()
mountLabelReport(app, reporter, {
  bodyLimitBytes: 1_000_000,
  compression: codecCompression(codec),
  log: createSilentLog(),
})
/** As the frontend has it: over the wire. */
const client = createLabelReportClient('http://backend', {
  fetch: async (input, init) => app.request(new Request(input, init)),
})

function dataset(service: string, pods: readonly string[]) {
  return makeDataset({
    service,
    series: pods.map((pod) => makeLabels({ __name__: 'cpu', service_name: service, pod })),
    groups: [CPU_GROUP],
    profiles: pods.map((_, series) => ({
      series,
      group: 0,
      timeNanos: WINDOW_START_NANOS + BigInt(series),
      id: ((service.length + 1) * 1000 + series) << 16,
      samples: [{ stack: ['main'], values: [1n, 2n] }],
    })),
  })
}

const WISH = { startMs: WINDOW_START_MS, endMs: WINDOW_START_MS + 1, matchers: [], names: ['pod'], namesOnly: false }

test('sets of many objects, merged or not, from heads alone', async () => {
  const sources = Array.from({ length: 20 }, (_, i) => dataset('shop', [`p${i}`, `p${i + 1}`]))
  const apart = await Promise.all(sources.map((each, i) => putObject(store, 10 + i, [{ dataset: each }])))
  const merged = mergeDatasets(sources.map((each) => ({ dataset: each, skip: [] })))
  const together = await putObject(store, 40, [{ dataset: merged.dataset, functionLevel: merged.functionLevel }], 1)
  const ask = async (objects: typeof apart, wish: Partial<typeof WISH> = {}) => {
    const { sets, stats } = await client.labels({ ...WISH, ...wish, objects })
    return { pods: sets.map(({ pairs }) => pairs[1]).sort(), stats }
  }
  const before = await ask(apart)
  assert.equal(before.pods.length, 21)
  const after = await ask([together])
  assert.deepEqual(after.pods, before.pods)
  const [{ descriptor }] = together.datasets as [(typeof together.datasets)[0]]
  assert.deepEqual([after.stats.objects, after.stats.ranges, after.stats.bytes], [1, 1, descriptor.headBytes])
  const matchers = [{ name: 'pod', op: '=~', value: 'p1.?' }]
  assert.equal((await ask(apart, { matchers } as object)).pods.length, 11)
})

test('a missing object is an error with its kind; a caller that has gone gets nothing', async () => {
  const object = await putObject(store, 50, [{ dataset: dataset('gone', ['p']) }])
  const leaving = new AbortController()
  leaving.abort()
  await assert.rejects(reporter.labels({ ...WISH, objects: [object] }, leaving.signal), /gone/)
  await store.delete(objectKey(object.objectId))
  await assert.rejects(
    client.labels({ ...WISH, objects: [object] }),
    (error: unknown) => error instanceof CinderError && error.kind === 'not_found',
  )
})

test('a client that leaves ends the reads in flight', async () => {
  const begun = Promise.withResolvers<void>()
  const hanging = {
    getRange: (_key: string, _offset: number, _lengthBytes: number, { signal }: StoreCallOptions = {}) =>
      new Promise<Uint8Array>((_resolve, reject) => {
        signal?.addEventListener('abort', () => reject(new CinderError('canceled', 'the read was ended')))
        begun.resolve()
      }),
  }
  const object = await putObject(store, 70, [{ dataset: dataset('shop', ['p']) }])
  const leaving = new AbortController()
  const answer = createLabelReporter({ store: hanging, codec, regex: createRegexCompiler() }).labels(
    { ...WISH, objects: [object] },
    leaving.signal,
  )
  await begun.promise
  leaving.abort()
  await assert.rejects(answer, (error: unknown) => error instanceof CinderError && error.kind === 'canceled')
})

test("a region of another tenant's is not reported as one's own, whatever the plan says (H78)", async () => {
  const object = await putObject(store, 60, [{ dataset: { ...dataset('secret', ['p']), tenant: 'victim' } }])
  assert.equal((await client.labels({ ...WISH, objects: [object] })).sets.length, 1)
  const [{ descriptor, skip }] = object.datasets as [(typeof object.datasets)[0]]
  const crafted = { ...object, datasets: [{ descriptor: { ...descriptor, tenant: 'thief' }, skip }] }
  await assert.rejects(
    client.labels({ ...WISH, objects: [crafted] }),
    (error: unknown) => error instanceof CinderError && error.kind === 'data_loss',
  )
})
