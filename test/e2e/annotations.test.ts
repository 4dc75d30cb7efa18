/** Annotations of points through all services: profiles of a sampled group say so in time series, and nowhere else. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { SelectSeriesRequestSchema, SelectSeriesResponseSchema } from '#platform/gen/querier/v1/querier_pb.ts'
import { buildPprof } from '../support/profiles.ts'
import { askTotal, callRpc, expectOk, push, SAMPLES } from '../support/server-client.ts'
import { createServiceStack } from '../support/service-stack.ts'

const MINUTE_MS = 60_000
const START_MS = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS - 10 * MINUTE_MS
const RANGE = { start: START_MS, end: START_MS + 2 * MINUTE_MS }

/** Nothing is left out: a draw is below 1. */
const policyOf = (group: string) =>
  JSON.stringify({ usageGroups: { [group]: '{service_name="shop"}' }, sampling: { [group]: { probability: 1 } } })
const noteOf = (group: string) => ({
  key: 'pyroscope.ingest.sampled',
  value: `{"body":{"source":{"usageGroup":"${group}","probability":1}}}`,
})

interface Point {
  readonly value: number
  readonly annotations?: readonly unknown[]
}

test('points say by which rules their profiles were sampled, before and after compaction; nothing else shows it', async () => {
  let policy: string | undefined
  const stack = await createServiceStack({}, undefined, { policyOf: () => policy })
  after(() => stack.close())
  const { send } = stack
  const pushAt = async (service: string, offsetMs: number, value: number) => {
    const timeNanos = BigInt(START_MS + offsetMs) * 1_000_000n
    const profile = buildPprof({ timeNanos, samples: [{ stack: ['f', 'main'], values: [value] }] })
    const labels = { __name__: 'process_cpu', service_name: service, __sampled_by__: 'a client' }
    assert.equal((await push(send, [{ labels, profiles: [profile] }])).status, 200)
  }
  await pushAt('shop', 1_000, 1)
  policy = policyOf('b')
  await pushAt('shop', 2_000, 10)
  await pushAt('shop', MINUTE_MS + 1_000, 100)
  await pushAt('cart', 3_000, 1_000)
  policy = policyOf('a')
  await pushAt('shop', 4_000, 10_000)

  const question = { profileTypeID: SAMPLES, labelSelector: '{}', groupBy: ['service_name'], step: 60, ...RANGE }
  const pointsOf = async (more: object = {}): Promise<Record<string, Point[]>> => {
    const answer = await expectOk(callRpc(send, 'querier.v1.QuerierService/SelectSeries', { ...question, ...more }))
    const series = answer.series as { labels?: { value: string }[]; points: Point[] }[]
    return Object.fromEntries(
      series.map(({ labels = [], points }) => [labels.map(({ value }) => value).join(), points]),
    )
  }
  const notes = (points: readonly Point[]) => points.map(({ value, annotations }) => [value, annotations])
  const check = async () => {
    const plain = await pointsOf()
    assert.deepEqual(Object.keys(plain).sort(), ['cart', 'shop'])
    assert.deepEqual(notes(plain['shop']!), [
      [10_011, [noteOf('a'), noteOf('b')]],
      [100, [noteOf('b')]],
    ])
    assert.deepEqual(notes(plain['cart']!), [[1_000, undefined]])
    const average = await pointsOf({ aggregation: 'TIME_SERIES_AGGREGATION_TYPE_AVERAGE', limit: '1' })
    assert.deepEqual(notes(average['shop']!)[0], [3_337, [noteOf('a'), noteOf('b')]])
    const site = await pointsOf({ stackTraceSelector: { callSite: [{ name: 'main' }] } })
    assert.deepEqual(site['shop'], plain['shop'])
    const named = await pointsOf({ exemplarType: 'EXEMPLAR_TYPE_INDIVIDUAL' })
    assert.deepEqual(notes(named['shop']!), notes(plain['shop']!))
    assert.ok(!JSON.stringify(named).includes('__sampled_by__'))
    assert.deepEqual(Object.keys(await pointsOf({ groupBy: ['__sampled_by__'] })), [''])

    const request = create(SelectSeriesRequestSchema, {
      ...question,
      start: BigInt(RANGE.start),
      end: BigInt(RANGE.end),
    })
    const response = await send('/querier.v1.QuerierService/SelectSeries', {
      method: 'POST',
      headers: { 'Content-Type': 'application/proto' },
      body: toBinary(SelectSeriesRequestSchema, request),
    })
    const { series } = fromBinary(SelectSeriesResponseSchema, new Uint8Array(await response.arrayBuffer()))
    const [shop] = series.filter(({ labels }) => labels[0]!.value === 'shop')
    assert.deepEqual(
      shop!.points.map(({ annotations }) => annotations.map(({ key, value }) => ({ key, value }))),
      [[noteOf('a'), noteOf('b')], [noteOf('b')]],
    )
  }
  await check()
  await stack.compact()
  await check()

  const hidden = await expectOk(
    callRpc(send, 'querier.v1.QuerierService/SelectSeries', { ...question, labelSelector: '{__sampled_by__!=""}' }),
  )
  assert.deepEqual(hidden, {})
  for (const [method, request] of [
    ['LabelNames', {}],
    ['Series', { matchers: ['{}'] }],
  ] as const) {
    const answer = await expectOk(callRpc(send, `querier.v1.QuerierService/${method}`, { ...request, ...RANGE }))
    assert.ok(!JSON.stringify(answer).includes('__sampled_by__'), method)
  }
  assert.equal(await askTotal(send, 'shop'), 10_111n)
})
