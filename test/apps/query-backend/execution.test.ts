import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { readConfig } from '../../../apps/query-backend/config.ts'
import { encodeSeriesPart } from '#core/query/series-part.ts'
import { gzipInThreads, openQueryBackend, queryThreads, sparingThreads } from '../../../apps/query-backend/execution.ts'
import { encodeTree, FunctionTree } from '#core/flamegraph/tree.ts'
import { CinderError } from '#core/errors.ts'
import type { AnswerTask } from '#core/query/answer-task.ts'
import { createCodec } from '#platform/codec.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import { createSilentLog } from '../../support/silent-log.ts'

const execution = (more: Record<string, string>) => readConfig({ STORAGE_URL: './data', ...more }).execution

test('settings of the execution have defaults and limits', () => {
  assert.deepEqual(execution({}), { threads: undefined, cacheBytesMax: 67_108_864, keepsReports: true })
  assert.deepEqual(
    execution({ CINDER_QUERY_THREADS: '0', CINDER_QUERY_CACHE_BYTES: '0', CINDER_QUERY_REPORTS: 'false' }),
    { threads: 0, cacheBytesMax: 0, keepsReports: false },
  )
  assert.throws(() => execution({ CINDER_QUERY_THREADS: '17' }), /CINDER_QUERY_THREADS.*0 to 16/)
  assert.throws(() => execution({ CINDER_QUERY_CACHE_BYTES: '64M' }), /CINDER_QUERY_CACHE_BYTES.*bytes/)
  assert.throws(() => execution({ CINDER_QUERY_REPORTS: 'no' }), /CINDER_QUERY_REPORTS.*true or false/)
})

test('threads follow cores, one at least and sixteen at most', () => {
  assert.equal(queryThreads(undefined, { cores: 1, spared: 1 }), 1)
  assert.equal(queryThreads(undefined, { cores: 8, spared: 1 }), 7)
  assert.equal(queryThreads(undefined, { cores: 64, spared: 0 }), 16)
  assert.equal(queryThreads(0, { cores: 8, spared: 1 }), 0)
})

test('without threads calls run in the loop', async () => {
  const startThread = (): Worker => assert.fail('no thread was asked for')
  const deps = {
    store: createMemoryStore(),
    codec: createCodec(),
    regex: createRegexCompiler(),
    log: createSilentLog(),
  }
  const backend = openQueryBackend({ ...deps, startThread }, { ...execution({}), threads: 0 })
  const request = { profileType: 'a:b:c:d:e', matchers: [], startMs: 0, endMs: 1, objects: [] }
  assert.equal((await backend.stacktraces(request)).stats.objects, 0)
  await backend.stop()
})

test('small work is done where it is, large work in threads', async () => {
  const asked: AnswerTask[] = []
  const worker = sparingThreads({
    async run(task) {
      asked.push(task)
      return new Uint8Array(0)
    },
  })
  const tree = new FunctionTree()
  for (let i = 0; i < 20_000; i++) tree.addSelf(tree.child(0, tree.internText(`f${i}`)), 1, 0)
  const fold = (part: Uint8Array) => worker.run({ kind: 'fold-trees', parts: [part], nodesMax: 100_000 })
  assert.ok((await fold(encodeTree(new FunctionTree()))).length > 0)
  assert.equal(asked.length, 0)
  await fold(encodeTree(tree))
  assert.equal(asked.length, 1)
  // 24 bytes a point.
  const rank = (points: number) => {
    const of = <T>(value: T) => Array.from({ length: points }, () => value)
    const parts = [encodeSeriesPart([{ labels: [], stepIndexes: of(1), sums: of(2n), counts: of(1) }])]
    const range = { startMs: 0, endMs: 1, stepMs: 1 }
    return worker.run({ kind: 'series', parts, seriesMax: 0, range, aggregation: 'sum', limit: 0, as: 'proto' })
  }
  assert.ok((await rank(10_000)).length > 0)
  assert.equal(asked.length, 1)
  await rank(11_000)
  assert.deepEqual(
    asked.map(({ kind }) => kind),
    ['fold-trees', 'series'],
  )
  const range = { startMs: 0, endMs: 2, stepMs: 1 }
  const parts = [encodeSeriesPart([{ labels: [], stepIndexes: [1], sums: [2n], counts: [1] }])]
  const lines = { kind: 'timelines', parts, seriesMax: 0, steps: range, range, aggregation: 'sum' } as const
  assert.ok((await worker.run({ ...lines, groupBy: [] })).length > 0)
  assert.equal(asked.length, 2)
  await worker.run({ ...lines, groupBy: ['pod'] })
  assert.equal(asked.length, 3, 'groups are dense, however few points they have')
})

test('gzip is that of the loop for what is small, where there are no threads, and where they fail', async () => {
  const here = codecCompression(createCodec())
  const threads = gzipInThreads(here, async () => Uint8Array.of(7))
  assert.deepEqual(gunzipSync(await threads.gzip(new Uint8Array(10))), Buffer.alloc(10))
  assert.deepEqual(await threads.gzip(new Uint8Array(100_000)), Uint8Array.of(7))
  assert.equal(gzipInThreads(here, undefined), here)
  const dead = gzipInThreads(here, () => Promise.reject(new CinderError('unavailable', 'a query thread died')))
  assert.equal(gunzipSync(await dead.gzip(new Uint8Array(100_000))).length, 100_000, 'the answer is there: it goes out')
})
