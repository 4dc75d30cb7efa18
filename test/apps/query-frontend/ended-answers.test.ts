/** A query that is one call may be ended by its backend: the answer is the same, bytes and refusals. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { fromBinary, fromJson, toBinary, toJsonString } from '@bufbuild/protobuf'
import { Hono } from 'hono'
import { createQueryBackend } from '../../../apps/query-backend/app.ts'
import type { SourceObject } from '#core/rpc/metastore.ts'
import type { QueryBackend } from '#core/rpc/query-backend.ts'
import { createCodec } from '#platform/codec.ts'
import { createQueryBackendClient, mountQueryBackend } from '#platform/connect/services.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { QuerierService } from '#platform/gen/querier/v1/querier_pb.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import { WINDOW_START_MS } from '../../support/datasets.ts'
import { noisyDataset } from '../../support/noisy-dataset.ts'
import { putObject } from '../../support/objects.ts'
import { createSilentLog } from '../../support/silent-log.ts'
import { type Answers, createTestFrontend, EMPTY_OBJECT, NO_COST } from '../../support/query-frontend.ts'

const TYPE = ':cpu:nanoseconds:cpu:nanoseconds'
const TIMES = { start: WINDOW_START_MS, end: WINDOW_START_MS + 3_600_000 }
const QUERY = { ...TIMES, profileTypeID: TYPE, labelSelector: '{}' }
const LIMITS = { maxQueryLookbackMs: 0, maxQueryLengthMs: 0 }
const RENDER = `query=${encodeURIComponent(`${TYPE}{}`)}&from=${TIMES.start / 1_000}&until=${TIMES.end / 1_000}`

const QUESTIONS: readonly (readonly [path: string, body?: object])[] = [
  ['querier.v1.QuerierService/SelectMergeStacktraces', { ...QUERY, maxNodes: 8 }],
  ['querier.v1.QuerierService/SelectMergeStacktraces', { ...QUERY, format: 'PROFILE_FORMAT_TREE' }],
  ['querier.v1.QuerierService/SelectMergeStacktraces', { ...QUERY, format: 'PROFILE_FORMAT_PPROF' }],
  ['querier.v1.QuerierService/SelectMergeSpanProfile', QUERY],
  ['querier.v1.QuerierService/SelectMergeProfile', { ...QUERY, maxNodes: 4 }],
  ['querier.v1.QuerierService/SelectMergeProfile', { ...QUERY, labelSelector: '{service_name="nobody"}' }],
  ['querier.v1.QuerierService/SelectSeries', { ...QUERY, step: 15, groupBy: ['service_name'] }],
  [
    'querier.v1.QuerierService/SelectSeries',
    { ...QUERY, step: 15, aggregation: 'TIME_SERIES_AGGREGATION_TYPE_AVERAGE' },
  ],
  ['querier.v1.QuerierService/SelectSeries', { ...QUERY, step: 15, exemplarType: 'EXEMPLAR_TYPE_INDIVIDUAL' }],
  ['querier.v1.QuerierService/SelectSeries', { ...QUERY, step: 15, exemplarType: 'EXEMPLAR_TYPE_SPAN' }],
  ['querier.v1.QuerierService/SelectHeatmap', { ...QUERY, step: 60, queryType: 'HEATMAP_QUERY_TYPE_INDIVIDUAL' }],
  [
    'querier.v1.QuerierService/SelectHeatmap',
    { ...QUERY, step: 60, queryType: 'HEATMAP_QUERY_TYPE_SPAN', exemplarType: 'EXEMPLAR_TYPE_SPAN' },
  ],
  [`pyroscope/render?${RENDER}`],
]
const RENDERED = QUESTIONS.length - 1
/** Rows that are looked at together: exemplars beside totals, and heat maps. */
const OF_ROWS = /Heatmap|exemplarType/

async function openStore() {
  const store = createMemoryStore()
  const objects: SourceObject[] = []
  for (let n = 0; n < 3; n++) {
    const dataset = noisyDataset({ service: `s${n}`, profiles: 4, samples: 30 })
    objects.push(await putObject(store, n, [{ dataset }]))
  }
  const backend = createQueryBackend({ store, codec: createCodec(), regex: createRegexCompiler() }) as QueryBackend
  return { backend, objects }
}

/** What a backend of an earlier release does: it hears of no wish. */
function withoutEnds(backend: QueryBackend): QueryBackend {
  const plain = <Request extends object>(request: Request) => ({ ...request, end: undefined, asPart: false })
  return {
    stacktraces: (request) => backend.stacktraces(plain(request)),
    mergeProfile: (request) => backend.mergeProfile(plain(request)),
    timeSeries: (request) => backend.timeSeries(plain(request)),
    points: (request) => backend.points(plain(request)),
  }
}

/** The same backend in another process, and what came from there. */
function remote(backend: QueryBackend) {
  const app = new Hono()
  const parts: Record<string, number> = { ended: 0, part: 0, plain: 0 }
  const counted = <Answer extends object>(answer: Answer): Answer => {
    const kind = ['ended', 'part'].find((name) => (answer as Record<string, unknown>)[name] !== undefined) ?? 'plain'
    parts[kind]!++
    return answer
  }
  const compression = codecCompression(createCodec())
  mountQueryBackend(app, backend, { bodyLimitBytes: 1 << 24, compression, log: createSilentLog() })
  const fetch = ((url: string, init?: RequestInit) =>
    Promise.resolve(app.request(url, init))) as typeof globalThis.fetch
  const client = createQueryBackendClient('http://backend', { fetch })
  const there: QueryBackend = {
    stacktraces: async (request, signal) => counted(await client.stacktraces(request, signal)),
    mergeProfile: async (request, signal) => counted(await client.mergeProfile(request, signal)),
    timeSeries: async (request, signal) => counted(await client.timeSeries(request, signal)),
    points: async (request, signal) => counted(await client.points(request, signal)),
  }
  return { backend: there, parts }
}

async function ask(answers: Answers, [path, body]: (typeof QUESTIONS)[number]) {
  const { app, asked } = createTestFrontend({ ...answers, limits: { ...LIMITS, ...answers.limits } })
  const init = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }
  const response = await app.request(`/${path}`, body === undefined ? {} : init)
  const ends = [...asked.stacks, ...asked.profiles, ...asked.series].map((each) => 'end' in each && each.end)
  return { status: response.status, text: await response.text(), ends }
}

test('an answer that its backend ended is the one that the frontend would have made', async () => {
  const { backend, objects } = await openStore()
  let endedCount = 0
  for (const question of QUESTIONS) {
    const ended = await ask({ backend, objects }, question)
    const made = await ask({ backend: withoutEnds(backend), objects }, question)
    assert.equal(ended.status, 200, ended.text)
    assert.equal(ended.text, made.text, question[0])
    const there = remote(backend)
    assert.equal((await ask({ backend: there.backend, objects }, question)).text, made.text, question[0])
    // A timeline is made of steps, beside a flame graph that is ended.
    const isRendered = question === QUESTIONS[RENDERED]
    const { ended: ends, part } = there.parts
    const wanted = OF_ROWS.test(JSON.stringify(question)) ? [false, true] : [true, isRendered]
    assert.deepEqual([ends! > 0, part! > 0], wanted, JSON.stringify([question, there.parts]))
    assert.equal(there.parts['plain'], 0)
    endedCount += ended.ends.filter((end) => end !== undefined && end !== false).length
  }
  const ofRows = QUESTIONS.filter((question) => OF_ROWS.test(JSON.stringify(question))).length
  assert.equal(endedCount, QUESTIONS.length - ofRows, 'all but exemplars and heat maps are ended by the backend')
})

test('a profile as JSON says what its file says, also inside of another message', async () => {
  const { backend, objects } = await openStore()
  const { app } = createTestFrontend({ backend, objects, limits: LIMITS })
  const ask = async (method: string, type: 'json' | 'proto', body: string | Uint8Array) => {
    const headers = { 'Content-Type': `application/${type}` }
    const init = { method: 'POST', headers, body: body as string }
    const response = await app.request(`/querier.v1.QuerierService/${method}`, init)
    assert.equal(response.status, 200)
    return new Uint8Array(await response.arrayBuffer())
  }
  for (const name of ['SelectMergeProfile', 'SelectMergeStacktraces']) {
    const { input, output } = QuerierService.methods.find((method) => method.name === name)!
    const request = name === 'SelectMergeProfile' ? QUERY : { ...QUERY, format: 'PROFILE_FORMAT_PPROF' }
    const file = fromBinary(output, await ask(name, 'proto', toBinary(input, fromJson(input, request))))
    const json = new TextDecoder().decode(await ask(name, 'json', JSON.stringify(request)))
    assert.ok(json.length > 1_000)
    assert.equal(json, toJsonString(output, file), name)
  }
})

test('series that go out as gzip are packed with their end, and only then', async () => {
  const store = createMemoryStore()
  const dataset = noisyDataset({ service: 'long', profiles: 400, samples: 4 })
  const objects = [await putObject(store, 1, [{ dataset }])]
  const backend = createQueryBackend({ store, codec: createCodec(), regex: createRegexCompiler() }) as QueryBackend
  const stored: Uint8Array[] = []
  const marked: Answers['backend'] = {
    async timeSeries(request) {
      const answer = await backend.timeSeries(request)
      if (answer.ended?.gzip === undefined) return answer
      assert.deepEqual(new Uint8Array(gunzipSync(answer.ended.gzip)), answer.ended.bytes)
      const gzip = new Uint8Array(gzipSync(answer.ended.bytes, { level: 0 }))
      stored.push(gzip)
      return { ...answer, ended: { ...answer.ended, gzip } }
    },
  }
  const { app } = createTestFrontend({ backend: marked, objects, limits: LIMITS })
  const { input } = QuerierService.method.selectSeries
  const request = { ...QUERY, step: 1, groupBy: ['service_name'] }
  const proto = new Uint8Array(toBinary(input, fromJson(input, request)))
  for (const [type, body] of [
    ['application/proto', proto],
    ['application/json', JSON.stringify(request)],
  ] as const) {
    const ask = async (encoding: string) => {
      const headers = { 'Content-Type': type, 'Accept-Encoding': encoding }
      const response = await app.request('/querier.v1.QuerierService/SelectSeries', { method: 'POST', headers, body })
      assert.equal(response.headers.get('content-encoding'), encoding === 'gzip' ? 'gzip' : null)
      return new Uint8Array(await response.arrayBuffer())
    }
    stored.length = 0
    const packed = await ask('gzip')
    assert.equal(stored.length, 1, type)
    assert.deepEqual(packed, stored[0])
    const plain = await ask('identity')
    assert.equal(stored.length, 1)
    assert.deepEqual(new Uint8Array(gunzipSync(packed)), plain)
  }
})

test('a limit of nodes refuses an ended answer by the same words', async () => {
  const { backend, objects } = await openStore()
  const limits = { maxQueryNodes: 3 }
  for (const question of [QUESTIONS[0]!, QUESTIONS[4]!, QUESTIONS[RENDERED]!]) {
    const ended = await ask({ backend, objects, limits }, question)
    const made = await ask({ backend: withoutEnds(backend), objects, limits }, question)
    assert.equal(ended.status, 400)
    assert.match(ended.text, /maxQueryNodes/)
    assert.equal(ended.text, made.text)
  }
})

test('a limit of series refuses an ended answer by the same words', async () => {
  const { backend, objects } = await openStore()
  const series = QUESTIONS[6]!
  const ended = await ask({ backend, objects, limits: { maxQuerySeries: 2 } }, series)
  const made = await ask({ backend: withoutEnds(backend), objects, limits: { maxQuerySeries: 2 } }, series)
  assert.equal(ended.status, 400, ended.text)
  assert.match(ended.text, /maxQuerySeries/)
  assert.equal(ended.text, made.text)
})

test('a query of several calls is ended by nobody but the frontend', async () => {
  const [dataset] = EMPTY_OBJECT.datasets
  const objects = [{ ...EMPTY_OBJECT, datasets: Array.from({ length: 513 }, () => dataset!) }]
  const none = new Uint8Array(0)
  const backend: Answers['backend'] = {
    stacktraces: async () => ({ tree: none, stats: NO_COST, selected: true, filtered: true }),
    mergeProfile: async () => ({ stacks: none, stats: NO_COST, filtered: true }),
    timeSeries: async () => ({ series: [], stats: NO_COST, selected: true, filtered: true }),
  }
  for (const question of [QUESTIONS[0]!, QUESTIONS[4]!, QUESTIONS[7]!]) {
    const { status, ends } = await ask({ backend, objects }, question)
    assert.equal(status, 200)
    assert.equal(ends.length, 2)
    assert.ok(ends.every((end) => end === undefined || end === false))
  }
})
