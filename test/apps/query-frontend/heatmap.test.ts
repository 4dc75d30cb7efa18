/** Heat maps, and series with exemplars, through the whole app over a backend of a few points. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createQueryFrontend } from '../../../apps/query-frontend/app.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import type { Metastore } from '#core/rpc/metastore.ts'
import type { PointSeries, PointsRequest, QueryBackend, TimeSeriesRequest } from '#core/rpc/query-backend.ts'
import { createCodec } from '#platform/codec.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import { createSilentLog } from '../../support/silent-log.ts'
import { HandClock } from '../../support/hand-clock.ts'

const NOW_MS = 1_764_000_000_000
const ASK = {
  start: NOW_MS - 150_000,
  end: NOW_MS,
  profileTypeID: 'process_cpu:cpu:nanoseconds:cpu:nanoseconds',
  labelSelector: '{service_name="web"}',
  step: 15,
}
const HEATMAP = { ...ASK, queryType: 'HEATMAP_QUERY_TYPE_INDIVIDUAL' }
const STATS = { objects: 1, ranges: 1, bytes: 1, datasets: 1, profiles: 1, samples: 1 }
const POINTS: PointSeries = {
  labels: [{ name: 'region', value: 'eu' }],
  steps: [2, 2],
  values: [10n, 30n],
  counts: [3, 1],
  exemplars: [
    { timeMs: NOW_MS - 120_000.5, profileId: '0f'.repeat(16), spanId: '', traceId: '', labels: [] },
    { timeMs: NOW_MS - 120_000, profileId: '', spanId: '00000000000000a2', traceId: '', labels: [] },
  ],
}

const DESCRIPTOR = { sizeBytes: 1, headBytes: 1, profileCount: 1, sampleCount: 1 }

interface Answer {
  code?: string
  message?: string
  series?: { labels: unknown; slots: Record<string, unknown>[]; points: Record<string, unknown>[] }[]
}

function setUp(options: { readonly isEmpty?: boolean; readonly knowsCallSites?: boolean } = {}) {
  const asked: PointsRequest[] = []
  const series: TimeSeriesRequest[] = []
  const metastore = {
    planQuery: async () => ({
      objects:
        options.isEmpty === true
          ? []
          : [{ objectId: 'o', level: 0, sizeBytes: 1, datasets: [{ descriptor: DESCRIPTOR, skip: [] }] }],
    }),
  }
  const backend: Partial<QueryBackend> = {
    async points(request) {
      asked.push(request)
      const { exemplars, best } = request
      const top = { ...POINTS, steps: [2], values: [30n], counts: [4], exemplars: [POINTS.exemplars[1]!] }
      const answer = best ? top : POINTS
      return { series: [{ ...answer, exemplars: exemplars ? answer.exemplars : [] }], stats: STATS }
    },
    async timeSeries(request) {
      series.push(request)
      const answer = { labels: POINTS.labels, stepIndexes: [1, 2], sums: [4n, 40n], counts: [1, 4] }
      return { series: [answer], stats: STATS, selected: options.knowsCallSites ?? true }
    },
  }
  const app = createQueryFrontend(
    {
      metastore: metastore as unknown as Metastore,
      backend: backend as QueryBackend,
      regex: createRegexCompiler(),
      clock: new HandClock(NOW_MS),
      log: createSilentLog(),
      compression: codecCompression(createCodec()),
    },
    { multitenancy: false, limitsOf: () => DEFAULT_LIMITS },
  )
  const ask = async (method: string, body: unknown) => {
    const headers = { 'Content-Type': 'application/json' }
    const request = { method: 'POST', headers, body: JSON.stringify(body) }
    const response = await app.request(`/querier.v1.QuerierService/${method}`, request)
    return { status: response.status, body: (await response.json()) as Answer }
  }
  return { ask, asked, series }
}

test('slots lie at the ends of their steps; exemplars carry ids as clients ask for them', async () => {
  const { ask, asked } = setUp()
  const { status, body } = await ask('SelectHeatmap', { ...HEATMAP, exemplarType: 'EXEMPLAR_TYPE_INDIVIDUAL' })
  assert.equal(status, 200)
  const slot = body.series![0]!.slots[0]!
  assert.equal(slot.timestamp, String(NOW_MS - 120_000))
  assert.deepEqual(
    (slot.counts as number[]).filter((count) => count > 0),
    [3, 1],
  )
  assert.deepEqual(slot.exemplars, [
    { timestamp: String(NOW_MS - 120_001), profileId: '0f0f0f0f-0f0f-0f0f-0f0f-0f0f0f0f0f0f', value: '10' },
    { timestamp: String(NOW_MS - 120_000), spanId: '00000000000000a2', value: '30' },
  ])
  const { spans, best, exemplars, originMs, startMs, endMs, stepMs } = asked[0]!
  assert.deepEqual([spans, best, exemplars], [false, false, true])
  assert.deepEqual([originMs, startMs, endMs, stepMs], [ASK.start, ASK.start, ASK.end, 15_000])
  await ask('SelectHeatmap', { ...HEATMAP, queryType: 'HEATMAP_QUERY_TYPE_SPAN' })
  assert.deepEqual([asked[1]!.spans, asked[1]!.exemplars], [true, false])
})

test('faults of a heat map are 400', async () => {
  const { ask, asked } = setUp()
  const cases: [unknown, RegExp][] = [
    [{ ...HEATMAP, step: 0 }, /step must be >= 1ms/],
    [{ ...HEATMAP, end: HEATMAP.start }, /start time must be before end time/],
    [{ ...HEATMAP, limit: -1 }, /limit must be non-negative, got -1/],
    [{ ...HEATMAP, labelSelector: '{' }, /label selector/],
    [{ ...HEATMAP, profileTypeID: 'a:b' }, /profile-type/],
    [{ ...HEATMAP, start: NOW_MS - 26 * 3_600_000 }, /max_query_length/],
    [ASK, /query type must be specified/],
    [{ ...HEATMAP, queryType: 'HEATMAP_QUERY_TYPE_OF_NEXT_YEAR' }, /query type must be specified/],
  ]
  for (const [request, message] of cases) {
    const { status, body } = await ask('SelectHeatmap', request)
    assert.deepEqual([status, body.code], [400, 'invalid_argument'], JSON.stringify(request))
    assert.match(body.message!, message)
  }
  assert.equal(asked.length, 0)
})

test('without data, and before the lookback, there is an empty answer', async () => {
  const { ask } = setUp({ isEmpty: true })
  assert.deepEqual(await ask('SelectHeatmap', ASK), { status: 200, body: {} })
  const old = { ...HEATMAP, start: NOW_MS - 700 * 3_600_000, end: NOW_MS - 690 * 3_600_000 }
  assert.deepEqual(await ask('SelectHeatmap', old), { status: 200, body: {} })
})

test('a point of a series shows its highest profile or span', async () => {
  const { ask, asked } = setUp()
  const request = { ...ASK, groupBy: ['region'] }
  const { body } = await ask('SelectSeries', { ...request, exemplarType: 'EXEMPLAR_TYPE_SPAN' })
  assert.deepEqual(body.series![0]!.points, [
    { value: 4, timestamp: String(NOW_MS - 135_000) },
    {
      value: 40,
      timestamp: String(NOW_MS - 120_000),
      exemplars: [{ timestamp: String(NOW_MS - 120_000), spanId: '00000000000000a2', value: '30' }],
    },
  ])
  const { spans, best, originMs, startMs, groupBy } = asked[0]!
  assert.deepEqual([spans, best, originMs, startMs, groupBy], [true, true, ASK.start, ASK.start - 15_000, ['region']])
  await ask('SelectSeries', { ...request, exemplarType: 'EXEMPLAR_TYPE_NONE' })
  assert.equal(asked.length, 1)
})

test('a call site goes to the backend; one that ignores it is not believed', async () => {
  const stackTraceSelector = { callSite: [{ name: 'main' }] }
  const { ask, series } = setUp()
  assert.equal((await ask('SelectSeries', { ...ASK, stackTraceSelector })).status, 200)
  assert.deepEqual(series[0]!.callSite, ['main'])
  const old = await setUp({ knowsCallSites: false }).ask('SelectSeries', { ...ASK, stackTraceSelector })
  assert.deepEqual([old.status, old.body.code], [503, 'unavailable'])
})
