/** Label questions that the metastore refuses: what is planned, what blocks are asked, what comes out. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import type { Clock } from '#core/ports/clock.ts'
import type { LabelReporter, LabelReportRequest } from '#core/rpc/label-report.ts'
import type { Metastore, PlanQueryRequest } from '#core/rpc/metastore.ts'
import type { QueryBackend } from '#core/rpc/query-backend.ts'
import { MS_PER_HOUR } from '#core/units.ts'
import { createCodec } from '#platform/codec.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import { createQueryFrontend } from '../../../apps/query-frontend/app.ts'
import { overBackends } from '../../../apps/query-frontend/block-labels.ts'
import { HandClock } from '../../support/hand-clock.ts'
import { EMPTY_OBJECT, NO_COST, NOW_MS } from '../../support/query-frontend.ts'
import { createSilentLog } from '../../support/silent-log.ts'

const RANGE = { start: NOW_MS + 60_000, end: NOW_MS + 120_000 }
const HOUR_MS = Math.floor(NOW_MS / MS_PER_HOUR) * MS_PER_HOUR
const ANALYZE = '/querier.v1.QuerierService/AnalyzeQuery'
const POD = { names: ['pod'], namesOnly: false }
const tooMany = () => new CinderError('resource_exhausted', 'more than 100000', { reason: 'label_sets_limit' })

interface Given {
  labels?: LabelReporter
  refusal?: () => CinderError
  clock?: Clock
}

function frontend({ labels, refusal = tooMany, clock = new HandClock(NOW_MS) }: Given) {
  const plans: PlanQueryRequest[] = []
  const metastore = {
    labelSets: () => Promise.reject(refusal()),
    async planQuery(request: PlanQueryRequest) {
      plans.push(request)
      return { objects: [EMPTY_OBJECT] }
    },
  } as unknown as Metastore
  const app = createQueryFrontend(
    {
      metastore,
      backend: {} as QueryBackend,
      ...(labels === undefined ? {} : { labels }),
      regex: createRegexCompiler(),
      clock,
      log: createSilentLog(),
      compression: codecCompression(createCodec()),
    },
    { multitenancy: true, limitsOf: () => DEFAULT_LIMITS },
  )
  const ask = async (path: string, question?: object, tenant = 'acme') => {
    const headers = { 'Content-Type': 'application/json', 'X-Scope-OrgID': tenant }
    const init =
      question === undefined
        ? { headers }
        : { method: 'POST', headers, body: JSON.stringify({ ...RANGE, ...question }) }
    const response = await app.request(path, init)
    const body = (await response.json()) as Record<string, unknown>
    return { status: response.status, body, warnings: response.headers.get('X-Cinderblock-Warnings') }
  }
  return { ask, plans }
}

/** Answers with sets, reduced as it is asked. */
function reporterOf(...sets: string[][]): LabelReporter & { asked: LabelReportRequest[] } {
  const asked: LabelReportRequest[] = []
  return {
    asked,
    async labels(request) {
      asked.push(request)
      return { sets: sets.map((pairs) => ({ pairs })), stats: NO_COST }
    },
  }
}

test('what the metastore cannot list is asked of blocks: whole hours, filtered, reduced', async () => {
  const labels = reporterOf(['pod', 'b', 'service_name', 'shop'], ['pod', 'a', 'service_name', 'shop'])
  const { ask, plans } = frontend({ labels })
  const matchers = ['{service_name="shop",pod!=""}']
  const { status, body } = await ask('/querier.v1.QuerierService/LabelValues', { name: 'pod', matchers })
  assert.deepEqual([status, body], [200, { names: ['a', 'b'] }])
  assert.deepEqual(plans, [
    { tenants: ['acme'], startMs: HOUR_MS, endMs: HOUR_MS + MS_PER_HOUR - 1, services: ['shop'] },
  ])
  const { objects, ...asked } = labels.asked[0]!
  assert.equal(objects.length, 1)
  assert.deepEqual(asked, {
    startMs: HOUR_MS,
    endMs: HOUR_MS + MS_PER_HOUR - 1,
    names: ['pod', 'service_name'],
    namesOnly: false,
    matchers: [
      { name: 'service_name', op: '=', value: 'shop' },
      { name: 'pod', op: '!=', value: '' },
    ],
  })
})

test('every question has this way out, the plain ones too', async () => {
  const labels = reporterOf(['pod', 'a', 'zone', 'z'])
  const { ask } = frontend({ labels })
  const rpc = (method: string, body: object) => ask(`/querier.v1.QuerierService/${method}`, body)
  assert.deepEqual((await rpc('LabelNames', { matchers: ['{pod="a"}'] })).body, { names: ['pod', 'zone'] })
  const { body } = await rpc('Series', { labelNames: ['zone'] })
  assert.deepEqual(body, { labelsSet: [{ labels: [{ name: 'zone', value: 'z' }] }] })
  assert.equal((await rpc('ProfileTypes', {})).status, 200)
  assert.deepEqual((await ask('/pyroscope/label-values?label=pod')).body, ['a'])
  assert.equal(labels.asked.length, 4)
})

test('of several tenants each is asked apart, and the tenant is a label', async () => {
  const labels = reporterOf(['pod', 'a'])
  const { ask, plans } = frontend({ labels })
  const matchers = ['{__tenant_id__="b"}']
  const asked = { labelNames: ['pod', '__tenant_id__'], matchers }
  const { body } = await ask('/querier.v1.QuerierService/Series', asked, 'a|b')
  const set = [
    { name: '__tenant_id__', value: 'b' },
    { name: 'pod', value: 'a' },
  ]
  assert.deepEqual(body, { labelsSet: [{ labels: set }] })
  assert.deepEqual(
    plans.map(({ tenants }) => tenants),
    [['a'], ['b']],
  )
  assert.deepEqual(
    labels.asked.map((each) => each.matchers),
    [[], []],
    'blocks do not know the tenant as a label',
  )
})

test('an analysis counts series of blocks, and says where nobody can', async () => {
  const query = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds{service_name="shop"}'
  const analyze = async (given: Given) => frontend(given).ask(ANALYZE, { query })
  const type = ['__profile_type__', 'process_cpu:cpu:nanoseconds:cpu:nanoseconds']
  const set = (pod: string) => [...type, 'pod', pod, 'service_name', 'shop']
  const labels = reporterOf(set('a'), set('b'), [...type, 'service_name', 'other'])
  const counted = await analyze({ labels })
  assert.deepEqual([counted.status, counted.warnings], [200, null])
  assert.deepEqual(counted.body['queryImpact'], { totalBytesInTimeRange: '1', totalQueriedSeries: '2' })
  assert.deepEqual(
    labels.asked.map(({ matchers }) => matchers.map(({ name }) => name)),
    [['service_name', '__profile_type__']],
  )
  const refusing: LabelReporter = { labels: () => Promise.reject(tooMany()) }
  const unknown = await analyze({ labels: refusing })
  assert.deepEqual([unknown.status, unknown.body['queryImpact']], [200, { totalBytesInTimeRange: '1' }])
  assert.match(unknown.warnings ?? '', /^\["the number of series is not known, and shown as 0: more than 100000/)
  const away: LabelReporter = { labels: () => Promise.reject(new CinderError('unavailable', 'no backend')) }
  assert.equal((await analyze({ labels: away })).status, 503, 'the next try may know')
})

test('an analysis under load is an error with a time to come back, not a count of 0', async () => {
  const query = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds{}'
  const full = new CinderError('resource_exhausted', '100 calls wait', { reason: 'query_threads', retryAfterMs: 1_000 })
  const labels: LabelReporter = { labels: () => Promise.reject(full) }
  const { status, body, warnings } = await frontend({ labels }).ask(ANALYZE, { query })
  assert.deepEqual(
    [status, body['code'], body['message'], warnings],
    [429, 'resource_exhausted', '100 calls wait', null],
  )
})

test('other failures, and a frontend without blocks, are passed on', async () => {
  const labels = reporterOf(['pod', 'a'])
  const question = ['/querier.v1.QuerierService/LabelValues', { name: 'pod' }] as const
  const down = frontend({ labels, refusal: () => new CinderError('unavailable', 'no database') })
  assert.equal((await down.ask(...question)).status, 503)
  assert.equal(labels.asked.length, 0)
  const alone = await frontend({}).ask(...question)
  assert.deepEqual([alone.status, alone.body['code']], [429, 'resource_exhausted'])
})

test('a report goes to the owner of its object, then to the next one, and not on for a fault of the question', async () => {
  const asked: string[] = []
  const failing = (name: string, kind: 'unavailable' | 'not_found'): LabelReporter => ({
    labels() {
      asked.push(name)
      return Promise.reject(new CinderError(kind, name))
    },
  })
  const request = { ...POD, objects: [EMPTY_OBJECT], startMs: 0, endMs: 1, matchers: [] }
  const names = ['a', 'b', 'c', 'd']
  const backends = (kind: 'unavailable' | 'not_found') =>
    overBackends(names.map((name) => ({ name, labels: failing(name, kind) })))
  await assert.rejects(
    backends('unavailable').labels(request),
    (error: unknown) => error instanceof CinderError && error.kind === 'unavailable',
  )
  assert.deepEqual([asked.length, new Set(asked).size], [3, 3])
  const [owner, second] = asked
  await assert.rejects(backends('not_found').labels(request))
  assert.deepEqual(asked.slice(3), [owner])
  const mixed = names.map((name) => ({
    name,
    labels: name === second ? reporterOf(['pod', 'x']) : failing(name, 'unavailable'),
  }))
  assert.deepEqual((await overBackends(mixed).labels(request)).sets, [{ pairs: ['pod', 'x'] }])
})

test('large reports are merged in turns, and are whole', async () => {
  const pods = Array.from({ length: 5_001 }, (_, i) => ['pod', `p${i}`])
  const hand = new HandClock(NOW_MS)
  let turns = 0
  const clock: Clock = {
    nowMs: () => hand.nowMs(),
    async sleep(durationMs, signal) {
      if (durationMs > 0) return await hand.sleep(durationMs, signal)
      turns++
    },
  }
  const { ask } = frontend({ labels: reporterOf(...pods), clock })
  const { body } = await ask('/querier.v1.QuerierService/LabelValues', { name: 'pod' })
  assert.equal((body['names'] as string[]).length, pods.length)
  assert.equal(turns, 2)
})
