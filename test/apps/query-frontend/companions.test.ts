/** Services beside the query API, pages, and AnalyzeQuery, through the whole app. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createQueryFrontend } from '../../../apps/query-frontend/app.ts'
import { CinderError } from '#core/errors.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import type { Metastore, PlanQueryRequest, SourceObject } from '#core/rpc/metastore.ts'
import type { QueryBackend } from '#core/rpc/query-backend.ts'
import { createCodec } from '#platform/codec.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import { VERSION } from '#platform/version.ts'
import { createSilentLog } from '../../support/silent-log.ts'
import { HandClock } from '../../support/hand-clock.ts'

const NOW_MS = 1_764_000_000_000
const TYPE = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds'

function source(level: number, profileCount: number): SourceObject {
  const descriptor = { profileCount, sampleCount: profileCount * 3, sizeBytes: 1000, headBytes: 100 }
  return { objectId: `o${level}${profileCount}`, level, sizeBytes: 5000, datasets: [{ descriptor, skip: [] }] } as never
}

function setUp(options: { readonly objects?: SourceObject[]; readonly tooMany?: boolean } = {}) {
  const planned: PlanQueryRequest[] = []
  const metastore = {
    async planQuery(request: PlanQueryRequest) {
      planned.push(request)
      return { objects: options.objects ?? [] }
    },
    async labelSets() {
      if (options.tooMany === true) throw new CinderError('resource_exhausted', 'more than 100000 sets')
      const pairs = (service: string) => ['__profile_type__', TYPE, 'service_name', service]
      return { sets: [{ pairs: pairs('api') }, { pairs: pairs('web') }] }
    },
  }
  const limits = { ...DEFAULT_LIMITS, maxSamples: 7 }
  const app = createQueryFrontend(
    {
      metastore: metastore as unknown as Metastore,
      backend: {} as QueryBackend,
      regex: createRegexCompiler(),
      clock: new HandClock(NOW_MS),
      log: createSilentLog(),
      compression: codecCompression(createCodec()),
    },
    { multitenancy: true, limitsOf: (tenant) => (tenant === 'own' ? { ...limits, maxQueryNodes: 9 } : limits) },
  )
  const post = async (path: string, body: unknown, tenant = 'a') => {
    const headers = { 'Content-Type': 'application/json', 'X-Scope-OrgID': tenant }
    const response = await app.request(path, { method: 'POST', headers, body: JSON.stringify(body) })
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
  const get = async (path: string, tenant = '') => {
    const response = await app.request(path, { headers: { 'X-Scope-OrgID': tenant } })
    return { status: response.status, type: response.headers.get('content-type'), text: await response.text() }
  }
  return { post, get, planned }
}

test('flags, version and code hosts, with and without tenant (H77)', async () => {
  const { post } = setUp()
  const flags = await post('/capabilities.v1.FeatureFlagsService/GetFeatureFlags', {}, 'a|b')
  const enabled = (flags.body.featureFlags as { name: string; enabled?: boolean }[]).filter((flag) => flag.enabled)
  assert.deepEqual(
    enabled.map(({ name }) => name),
    ['utf8LabelNames', 'v2StorageLayer'],
  )
  assert.equal((await post('/capabilities.v1.FeatureFlagsService/GetFeatureFlags', {}, '')).status, 401)
  assert.deepEqual(await post('/version.v1.Version/Version', {}, ''), { status: 200, body: { QuerierAPI: '1' } })
  for (const method of ['GithubApp', 'GithubLogin', 'GithubRefresh', 'GetFile', 'GetCommit', 'GetCommits']) {
    const { status, body } = await post(`/vcs.v1.VCSService/${method}`, { clientID: 'x' })
    assert.deepEqual([status, body.code], [501, 'unimplemented'])
    assert.equal((await post(`/vcs.v1.VCSService/${method}`, {}, '')).status, 401)
  }
})

test('build information and limits, as JSON and YAML', async () => {
  const { get } = setUp()
  for (const path of ['/api/v1/status/buildinfo', '/buildinfo']) {
    const { data, status } = JSON.parse((await get(path)).text) as { status: string; data: Record<string, string> }
    assert.deepEqual([status, data.version, data.branch], ['success', VERSION, ''])
    assert.match(data.goVersion!, /^(bun|node|deno) \d/)
  }
  const config = await get('/api/v1/status/config')
  assert.equal(config.type, 'text/plain; charset=utf-8')
  assert.match(config.text, /^multitenancy_enabled: true\nlimits:\n(  [a-z_]+: \d+\n)+$/)
  assert.equal(
    (await get('/api/v1/status/config/diff')).text,
    'multitenancy_enabled: true\nlimits:\n  max_samples: 7\n',
  )
  assert.match((await get('/api/v1/status/config/default')).text, /max_samples: 16000/)
  assert.equal((await get('/runtime_config')).text, 'overrides: {}\n', 'nobody is told of tenants')
  assert.equal((await get('/runtime_config?mode=diff', 'a')).text, 'overrides: {}\n')
  assert.equal((await get('/runtime_config', 'a|own')).text, 'overrides:\n  "own":\n    max_query_nodes: 9\n')
  assert.match((await get('/api/v1/tenant_limits', 'a')).text, /^max_samples: 7$/m)
  const nobody = await get('/api/v1/tenant_limits')
  assert.deepEqual([nobody.status, JSON.parse(nobody.text).message], [404, 'Not Found'])
  assert.equal((await get('/api/v1/tenant_limits', 'a|b')).status, 400)
})

test('what anybody may call is described as OpenAPI', async () => {
  const { status, text } = await setUp().get('/api/swagger.json')
  assert.equal(status, 200)
  const { swagger, paths, definitions } = JSON.parse(text) as {
    swagger: string
    paths: Record<string, { post: { parameters: { schema: { $ref: string } }[] } }>
    definitions: Record<string, { properties: Record<string, unknown> }>
  }
  assert.equal(swagger, '2.0')
  const [body] = paths['/querier.v1.QuerierService/SelectSeries']!.post.parameters
  assert.equal(body!.schema.$ref, '#/definitions/querier.v1.SelectSeriesRequest')
  const { start, groupBy, step, stackTraceSelector } = definitions['querier.v1.SelectSeriesRequest']!.properties
  assert.deepEqual(
    [start, groupBy, step, stackTraceSelector],
    [
      { type: 'string', format: 'int64' },
      { type: 'array', items: { type: 'string' } },
      { type: 'number', format: 'double' },
      { $ref: '#/definitions/types.v1.StackTraceSelector' },
    ],
  )
  for (const [, name] of text.matchAll(/"#\/definitions\/([^"]+)"/g)) assert.ok(definitions[name!] !== undefined, name)
  assert.ok(paths['/push.v1.PusherService/Push'] !== undefined)
})

const ANALYZE = '/querier.v1.QuerierService/AnalyzeQuery'
const RANGE = { start: NOW_MS - 60_000, end: NOW_MS }

test('a query is analysed from its plan: blocks, profiles, samples, bytes, series', async () => {
  const { post, planned } = setUp({ objects: [source(0, 2), source(0, 3), source(2, 10)] })
  const { body } = await post(ANALYZE, { ...RANGE, query: `${TYPE}{service_name="api"}` }, 'b|a')
  const own = { componentCount: '1', seriesCount: '2' }
  assert.deepEqual(body, {
    queryScopes: [
      {
        componentType: 'Short term storage',
        ...own,
        blockCount: '2',
        profileCount: '5',
        sampleCount: '15',
        indexBytes: '200',
        profileBytes: '1800',
      },
      {
        componentType: 'Long term storage',
        ...own,
        blockCount: '1',
        profileCount: '10',
        sampleCount: '30',
        indexBytes: '100',
        profileBytes: '900',
      },
    ],
    queryImpact: { totalBytesInTimeRange: '3000', totalQueriedSeries: '2' },
  })
  assert.deepEqual(planned, [{ tenants: ['a', 'b'], startMs: RANGE.start, endMs: RANGE.end, services: ['api'] }])
})

test('nothing to read, ranges that are refused and too many series have an answer; a bad query has none', async () => {
  const query = `${TYPE}{}`
  const empty = setUp()
  assert.deepEqual((await empty.post(ANALYZE, { ...RANGE, query })).body, {})
  for (const range of [{}, { start: RANGE.end, end: RANGE.start }, { start: -5, end: NOW_MS }]) {
    assert.deepEqual(await empty.post(ANALYZE, { ...range, query }), { status: 200, body: {} })
  }
  assert.equal(empty.planned.length, 1)
  const { post } = setUp({ objects: [source(0, 2)], tooMany: true })
  assert.deepEqual((await post(ANALYZE, { ...RANGE, query })).body.queryImpact, { totalBytesInTimeRange: '1000' })
  for (const bad of ['', TYPE, 'a:b{}', `${TYPE}{a=`, `${TYPE}{a=~"("}`]) {
    assert.equal((await post(ANALYZE, { ...RANGE, query: bad })).status, 400, bad)
  }
})
