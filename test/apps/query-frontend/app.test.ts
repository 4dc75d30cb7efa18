/** What Grafana gets for what it asks: answers from fake services, statuses of faults, what the services are asked. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CinderError } from '#core/errors.ts'
import { decodeTreeFormat } from '#core/flamegraph/tree-format.ts'
import { encodeTree, FunctionTree } from '#core/flamegraph/tree.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import type { LabelSetsRequest, Metastore, PlanQueryRequest, SourceObject } from '#core/rpc/metastore.ts'
import type {
  PointSeries,
  PointsRequest,
  QueryBackend,
  StacktracesRequest,
  TimeSeries,
  TimeSeriesRequest,
} from '#core/rpc/query-backend.ts'
import { createCodec } from '#platform/codec.ts'
import { codecCompression } from '#platform/http/body-compression.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import { createQueryFrontend } from '../../../apps/query-frontend/app.ts'
import { HandClock } from '../../support/hand-clock.ts'

const NOW_MS = 1_764_000_000_000
const RANGE = { start: NOW_MS - 150_000, end: NOW_MS }
const TYPE = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds'
const STATS = { objects: 1, ranges: 2, bytes: 3, datasets: 1, profiles: 1, samples: 1 }

function source(objectId: string, sizes: number[]): SourceObject {
  return {
    objectId,
    level: 0,
    sizeBytes: sizes.reduce((sum, size) => sum + size, 0),
    datasets: sizes.map((sizeBytes, index) => ({
      descriptor: {
        index,
        tenant: 't',
        service: 's',
        windowStartMs: 0,
        windowMs: 3_600_000,
        minTimeMs: 0,
        maxTimeMs: 1,
        offset: 0,
        sizeBytes,
        headBytes: sizeBytes,
        profileCount: 1,
        sampleCount: 1,
      },
      skip: [],
    })),
  }
}

function treeOf(stacks: Record<string, number>): Uint8Array {
  const tree = new FunctionTree()
  for (const [stack, self] of Object.entries(stacks)) {
    let node = 0
    for (const name of stack.split(';')) node = tree.child(node, tree.internText(name))
    tree.addSelf(node, self, 0)
  }
  return encodeTree(tree)
}

interface Answer {
  code: string
  message: string
  names: string[]
  labelsSet: { labels: { name: string; value: string }[] }[]
  profileTypes: unknown[]
  flamegraph: { names: string[]; total: string }
  tree: string
  series: { points: unknown[] }[]
}

interface Scene {
  plans: SourceObject[][]
  sets: { pairs: string[] }[]
  stacktraces: (request: StacktracesRequest) => Uint8Array | CinderError
  /** Of a backend that knows them. */
  obeysSelectors: boolean
  stacks: () => Uint8Array
  series: (request: TimeSeriesRequest) => TimeSeries[]
  readonly planned: PlanQueryRequest[]
  readonly labelRequests: LabelSetsRequest[]
  readonly stackRequests: StacktracesRequest[]
  readonly seriesRequests: TimeSeriesRequest[]
  points: (request: PointsRequest) => PointSeries[]
  readonly pointRequests: PointsRequest[]
}

function setUp(options: { multitenancy?: boolean } = {}) {
  const scene: Scene = {
    plans: [[source('o1', [10])]],
    sets: [],
    stacktraces: () => treeOf({ 'main;work': 3, main: 1 }),
    obeysSelectors: true,
    stacks: () => new Uint8Array(0),
    series: () => [],
    planned: [],
    labelRequests: [],
    stackRequests: [],
    seriesRequests: [],
    points: () => [],
    pointRequests: [],
  }
  const metastore = {
    async planQuery(request: PlanQueryRequest) {
      scene.planned.push(request)
      return { objects: scene.plans[Math.min(scene.planned.length, scene.plans.length) - 1]! }
    },
    async labelSets(request: LabelSetsRequest) {
      scene.labelRequests.push(request)
      return { sets: scene.sets }
    },
    async tenantStats({ tenants }: { tenants: string[] }) {
      return { dataIngested: tenants[0] !== 'empty', oldestProfileTimeMs: NOW_MS - 5, newestProfileTimeMs: NOW_MS }
    },
  } as unknown as Metastore
  const backend: QueryBackend = {
    async stacktraces(request) {
      scene.stackRequests.push(request)
      const answer = scene.stacktraces(request)
      if (answer instanceof CinderError) throw answer
      return { tree: answer, stats: STATS, selected: scene.obeysSelectors && request.selector !== undefined }
    },
    async mergeProfile(request) {
      scene.stackRequests.push(request)
      return { stacks: scene.stacks(), stats: STATS }
    },
    async timeSeries(request) {
      scene.seriesRequests.push(request)
      return { series: scene.series(request), stats: STATS, selected: scene.obeysSelectors }
    },
    async points(request) {
      scene.pointRequests.push(request)
      return { series: scene.points(request), stats: STATS }
    },
  }
  const app = createQueryFrontend(
    {
      metastore,
      backend,
      regex: createRegexCompiler(),
      clock: new HandClock(NOW_MS),
      log: { info() {}, warn() {}, error() {} },
      compression: codecCompression(createCodec()),
    },
    { multitenancy: options.multitenancy ?? false, limitsOf: () => DEFAULT_LIMITS },
  )
  const ask = async (method: string, body: unknown, headers: Record<string, string> = {}) => {
    const response = await app.request(`/querier.v1.QuerierService/${method}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })
    return { status: response.status, headers: response.headers, body: (await response.json()) as Answer }
  }
  return { app, scene, ask }
}

const SETS = [
  { service: 'api', type: 'cpu', extra: ['region', 'eu'] },
  { service: 'api', type: 'samples', extra: ['region', 'eu'] },
  { service: 'web', type: 'cpu', extra: ['ünicode', 'x'] },
].map(({ service, type, extra }) => ({
  pairs: [
    '__name__',
    'process_cpu',
    '__period_type__',
    'cpu',
    '__period_unit__',
    'nanoseconds',
    '__profile_type__',
    `process_cpu:${type}:${type === 'cpu' ? 'nanoseconds' : 'count'}:cpu:nanoseconds`,
    '__type__',
    type,
    '__unit__',
    type === 'cpu' ? 'nanoseconds' : 'count',
    ...(extra[0] === 'region' ? [...extra, 'service_name', service] : ['service_name', service, ...extra]),
  ],
}))

const UTF8 = { Accept: '*/*;allow-utf8-labelnames=true' }

test('metadata comes from label sets: names, values, series, types', async () => {
  const { ask, scene } = setUp()
  scene.sets = SETS
  const names = await ask('LabelNames', RANGE)
  assert.equal(names.body.names.includes('region'), true)
  assert.equal(names.body.names.includes('ünicode'), false)
  assert.equal((await ask('LabelNames', RANGE, UTF8)).body.names.includes('ünicode'), true)
  const values = await ask('LabelValues', { ...RANGE, name: 'service_name', matchers: ['{region="eu"}', ''] })
  assert.deepEqual(values.body, { names: ['api'] })
  const series = await ask('Series', { ...RANGE, labelNames: ['service_name', '__type__'] })
  const flat = series.body.labelsSet.map((set) => set.labels.map((label) => label.value).join('/'))
  assert.deepEqual(flat, ['cpu/api', 'cpu/web', 'samples/api'])
  const types = await ask('ProfileTypes', RANGE)
  assert.deepEqual(types.body.profileTypes[0], {
    ID: TYPE,
    name: 'process_cpu',
    sampleType: 'cpu',
    sampleUnit: 'nanoseconds',
    periodType: 'cpu',
    periodUnit: 'nanoseconds',
  })
  assert.deepEqual(
    scene.labelRequests.map(({ names: asked, namesOnly }) => (namesOnly ? 'names' : asked.join())),
    [
      'names',
      'names',
      'service_name,region',
      'service_name,__type__',
      '__profile_type__,__name__,__type__,__unit__,__period_type__,__period_unit__',
    ],
  )
  const [{ tenants, startMs, endMs }] = scene.labelRequests as [LabelSetsRequest]
  assert.deepEqual({ tenants, startMs, endMs }, { tenants: ['anonymous'], startMs: RANGE.start, endMs: RANGE.end })
})

test('ProfileTypes without a range asks for the last hour', async () => {
  const { ask, scene } = setUp()
  assert.deepEqual((await ask('ProfileTypes', {})).body, {})
  const [{ tenants, startMs, endMs }] = scene.labelRequests as [LabelSetsRequest]
  assert.deepEqual([tenants, startMs, endMs], [['anonymous'], NOW_MS - 3_600_000, NOW_MS])
})

test('GetProfileStats: one tenant, nothing ingested is {}', async () => {
  const { ask } = setUp({ multitenancy: true })
  assert.deepEqual((await ask('GetProfileStats', {}, { 'X-Scope-OrgID': 'a' })).body, {
    dataIngested: true,
    oldestProfileTime: String(NOW_MS - 5),
    newestProfileTime: String(NOW_MS),
  })
  assert.deepEqual((await ask('GetProfileStats', {}, { 'X-Scope-OrgID': 'empty' })).body, {})
  const two = await ask('GetProfileStats', {}, { 'X-Scope-OrgID': 'a|b' })
  assert.deepEqual(two.body, { code: 'invalid_argument', message: 'expected 1 tenant, got 2' })
})

const MERGE = { ...RANGE, profileTypeID: TYPE, labelSelector: '{service_name="api", region=~"e.*"}' }

test('SelectMergeStacktraces: plan by service, calls by bytes, trees merged, levels as drawn', async () => {
  const { ask, scene } = setUp()
  scene.plans = [[source('o1', [20 << 20, 20 << 20]), source('o2', [1])]]
  const { status, body } = await ask('SelectMergeStacktraces', MERGE)
  assert.equal(status, 200)
  assert.deepEqual(scene.planned, [
    { tenants: ['anonymous'], startMs: RANGE.start, endMs: RANGE.end, services: ['api'] },
  ])
  assert.deepEqual(
    scene.stackRequests.map((request) =>
      request.objects.map((o) => [o.objectId, ...o.datasets.map((d) => d.descriptor.index)]),
    ),
    [
      [['o1', 0]],
      [
        ['o1', 1],
        ['o2', 0],
      ],
    ],
  )
  const [first] = scene.stackRequests
  assert.equal(first!.profileType, TYPE)
  assert.deepEqual(first!.matchers, [
    { name: 'service_name', op: '=', value: 'api' },
    { name: 'region', op: '=~', value: 'e.*' },
  ])
  assert.deepEqual(body, {
    flamegraph: {
      names: ['total', 'main', 'work'],
      levels: [{ values: ['0', '8', '0', '0'] }, { values: ['0', '8', '2', '1'] }, { values: ['2', '6', '6', '2'] }],
      total: '8',
      maxSelf: '6',
    },
  })
})

test('SelectMergeStacktraces: snake case, TREE, one cut, unknown formats', async () => {
  const { ask, scene } = setUp()
  scene.stacktraces = () => treeOf({ 'a;x': 5, 'b;y': 3, 'c;z': 1 })
  const tree = await ask('SelectMergeStacktraces', { ...MERGE, format: 'PROFILE_FORMAT_TREE' })
  const decoded = decodeTreeFormat(new Uint8Array(Buffer.from(tree.body.tree, 'base64')))
  assert.equal(decoded.nodeCount, 7)
  const cut = await ask('SelectMergeStacktraces', {
    ...RANGE,
    profile_typeID: `${TYPE}:delta`,
    label_selector: '{}',
    max_nodes: 2,
    format: 'PROFILE_FORMAT_FUNCTIONS',
  })
  assert.deepEqual(cut.body.flamegraph.names.toSorted(), ['a', 'other', 'total', 'x'])
  assert.equal(scene.stackRequests.at(-1)!.profileType, TYPE)
  assert.deepEqual(scene.planned.at(-1)!.services, [])
})

test('empty answers have the shapes that clients draw (H70)', async () => {
  const { ask, scene } = setUp()
  scene.plans = [[]]
  const empty = { flamegraph: { names: ['total'], levels: [{ values: ['0', '0', '0', '0'] }] } }
  assert.deepEqual((await ask('SelectMergeStacktraces', MERGE)).body, empty)
  const beyond = { ...MERGE, start: NOW_MS - 864_000_000, end: NOW_MS - 863_000_000 }
  assert.deepEqual((await ask('SelectMergeStacktraces', beyond)).body, empty)
  assert.deepEqual((await ask('SelectSeries', { ...beyond, step: 15 })).body, {})
  assert.deepEqual((await ask('SelectSeries', { ...MERGE, step: 15 })).body, {})
  assert.deepEqual((await ask('LabelNames', beyond)).body, {})
  assert.equal(scene.planned.length, 2)
  assert.equal(scene.labelRequests.length, 0)
})

test('SelectSeries: the step before the range is planned, partial answers are merged, ranked, limited', async () => {
  const { ask, scene } = setUp()
  scene.plans = [[source('o1', [20 << 20]), source('o2', [20 << 20])]]
  const label = (value: string) => [{ name: 'region', value }]
  scene.series = ({ objects }) =>
    objects[0]!.objectId === 'o1'
      ? [
          { labels: label('eu'), stepIndexes: [0, 2], sums: [10n, 2n ** 40n], counts: [2, 1] },
          { labels: label('us'), stepIndexes: [1], sums: [1n], counts: [1] },
        ]
      : [{ labels: label('eu'), stepIndexes: [0], sums: [5n], counts: [1] }]
  const asked = { ...MERGE, step: 60, groupBy: ['region'] }
  const { body } = await ask('SelectSeries', asked)
  const at = (i: number) => String(RANGE.start + i * 60_000)
  assert.deepEqual(body, {
    series: [
      {
        labels: label('eu'),
        points: [
          { value: 15, timestamp: at(0) },
          { value: 2 ** 40, timestamp: at(2) },
        ],
      },
      { labels: label('us'), points: [{ value: 1, timestamp: at(1) }] },
    ],
  })
  assert.deepEqual(scene.planned[0], {
    tenants: ['anonymous'],
    startMs: RANGE.start - 60_000,
    endMs: RANGE.start + 120_000,
    services: ['api'],
  })
  const { stepMs, groupBy, startMs, endMs } = scene.seriesRequests[0]!
  assert.deepEqual(
    { stepMs, groupBy, startMs, endMs },
    {
      stepMs: 60_000,
      groupBy: ['region'],
      startMs: RANGE.start,
      endMs: RANGE.end,
    },
  )
  const average = await ask('SelectSeries', {
    ...asked,
    aggregation: 'TIME_SERIES_AGGREGATION_TYPE_AVERAGE',
    limit: 1,
    exemplarType: 'EXEMPLAR_TYPE_NONE',
  })
  assert.deepEqual(
    average.body.series.map((series) => series.points[0]),
    [{ value: 5, timestamp: at(0) }],
  )
})

test('faults of the client are 400 and name the first one', async () => {
  const { ask, scene } = setUp()
  const series = { ...MERGE, step: 15 }
  const cases: [string, unknown, RegExp][] = [
    ['SelectMergeStacktraces', {}, /missing time range/],
    ['SelectMergeStacktraces', { ...MERGE, start: RANGE.end, end: RANGE.start }, /start time is after end/],
    ['SelectMergeStacktraces', { ...MERGE, start: -5 }, /max_query_length/],
    ['SelectMergeStacktraces', { ...MERGE, end: '9223372036854775807' }, /max_query_length/],
    ['SelectMergeStacktraces', { ...MERGE, profileTypeID: 'a:b:c:d' }, /profile-type selection.*got\(4\)/],
    ['SelectMergeStacktraces', { ...MERGE, labelSelector: '' }, /parsing label selector ""/],
    ['SelectMergeStacktraces', { ...MERGE, labelSelector: '{' }, /parse error/],
    ['SelectMergeStacktraces', { ...MERGE, labelSelector: '{a=~"("}' }, /regexp/],
    ['SelectMergeStacktraces', { ...MERGE, maxNodes: -1 }, /max flamegraph nodes limit/],
    ['SelectMergeStacktraces', { ...MERGE, maxNodes: '9223372036854775807' }, /greater than allowed 1048576/],
    ['SelectSeries', { ...series, step: 0 }, /step must be >= 1ms/],
    ['SelectSeries', { ...series, step: 0.0001 }, /step must be >= 1ms/],
    ['SelectSeries', { ...series, step: 'x' }, /unmarshal message/],
    ['LabelNames', {}, /missing time range/],
    ['LabelNames', { ...RANGE, matchers: ['{a='] }, /label selector/],
    ['LabelValues', RANGE, /name is required/],
    ['Series', { ...RANGE, start: 0 }, /missing time range/],
    ['ProfileTypes', { start: 0, end: 5 }, /missing time range/],
    ['ProfileTypes', '{', /unmarshal message/],
    ['ProfileTypes', '', /unmarshal message/],
  ]
  for (const [method, body, message] of cases) {
    const answer = await ask(method, body)
    assert.equal(answer.status, 400, JSON.stringify(body))
    assert.equal(answer.body.code, 'invalid_argument')
    assert.match(answer.body.message, message)
  }
  assert.equal(scene.planned.length, 0)
})

test('what cannot be answered is 501 by name, never left out', async () => {
  const { ask, scene } = setUp()
  const cases: [string, unknown, RegExp][] = [
    ['SelectMergeStacktraces', { ...MERGE, stackTraceSelector: { goPgo: {} } }, /go_pgo/],
    ['SelectMergeStacktraces', { async: { type: 'ASYNC_QUERY_TYPE_FORCE' } }, /async/],
  ]
  for (const [method, body, message] of cases) {
    const answer = await ask(method, body)
    assert.equal(answer.status, 501, `${method} ${JSON.stringify(body)}`)
    assert.equal(answer.body.code, 'unimplemented')
    assert.match(answer.body.message, message)
  }
  assert.equal(scene.planned.length, 0)
  const synchronous = await ask('SelectMergeStacktraces', { ...MERGE, async: {} })
  assert.equal(synchronous.status, 200)
})

test('tenancy: 401 on every method, reads take several tenants (H77)', async () => {
  const { ask, scene } = setUp({ multitenancy: true })
  for (const method of ['ProfileTypes', 'LabelNames', 'SelectSeries', 'SelectHeatmap', 'Diff', 'GetProfileStats']) {
    const answer = await ask(method, {})
    assert.equal(answer.status, 401, method)
    assert.deepEqual(answer.body, { code: 'unauthenticated', message: 'no org id' })
  }
  await ask('SelectMergeStacktraces', MERGE, { 'X-Scope-OrgID': 'b|a' })
  assert.deepEqual(scene.planned[0]!.tenants, ['a', 'b'])
})

test('a block that is gone plans the whole query anew, once', async () => {
  const { ask, scene } = setUp()
  scene.plans = [[source('gone', [1]), source('kept', [1])], [source('merged', [1])]]
  scene.stacktraces = ({ objects }) =>
    objects.some((object) => object.objectId === 'gone')
      ? new CinderError('not_found', 'object gone')
      : treeOf({ main: 7 })
  const { body } = await ask('SelectMergeStacktraces', MERGE)
  assert.equal(body.flamegraph.total, '7')
  assert.equal(scene.planned.length, 2)
})

test('a block that stays unreadable is left out with a warning that names it, never an error (H26)', async () => {
  const { ask, app, scene } = setUp()
  scene.plans = [[source('o1', [10]), source('o2', [10])]]
  const broken: [CinderError, RegExp][] = [
    [new CinderError('not_found', 'object gone'), /^gone: dataset 0 of object o2, service "s", .*: object gone$/],
    [new CinderError('data_loss', 'section headers'), /^damaged: dataset 0 of object o2, .*: section headers$/],
  ]
  for (const [error, named] of broken) {
    scene.stacktraces = ({ objects }) =>
      objects.some(({ objectId }) => objectId === 'o2') ? error : treeOf({ main: 7 })
    const { status, headers, body } = await ask('SelectMergeStacktraces', MERGE)
    assert.equal(status, 200)
    assert.equal(body.flamegraph.total, '7')
    const [summary, detail] = JSON.parse(headers.get('x-cinderblock-warnings')!) as string[]
    assert.equal(summary, 'the answer is not complete: 1 of 2 datasets could not be read')
    assert.match(detail!, named)
    const query = encodeURIComponent(`${TYPE}{service_name="s"}`)
    const rendered = await app.request(`/pyroscope/render?query=${query}&from=${RANGE.start}&until=${RANGE.end}`)
    assert.equal(rendered.status, 200)
    const { warnings } = (await rendered.json()) as { warnings: string[] }
    assert.match(warnings[1]!, named)
    assert.deepEqual(JSON.parse(rendered.headers.get('x-cinderblock-warnings')!), warnings)
    scene.stacktraces = () => error
    const nothing = await ask('SelectMergeStacktraces', MERGE)
    assert.equal(nothing.status, 200)
    assert.deepEqual(nothing.body.flamegraph.names, ['total'])
    assert.match(nothing.headers.get('x-cinderblock-warnings')!, /2 of 2 datasets/)
  }
  scene.stacktraces = () => treeOf({ main: 7 })
  assert.equal((await ask('SelectMergeStacktraces', MERGE)).headers.get('x-cinderblock-warnings'), null)
})

test('other failures are answered as what they are', async () => {
  const cases: [CinderError, number, string][] = [
    [new CinderError('unavailable', 'store down'), 503, 'unavailable'],
    [new CinderError('resource_exhausted', 'too many queries'), 429, 'resource_exhausted'],
  ]
  for (const [error, status, code] of cases) {
    const { ask, scene } = setUp()
    scene.stacktraces = () => error
    const answer = await ask('SelectMergeStacktraces', MERGE)
    assert.equal(answer.status, status, error.kind)
    assert.equal(answer.body.code, code)
    assert.match(answer.body.message, new RegExp(error.message))
    assert.equal(scene.planned.length, 1)
  }
})

test('other paths are 404', async () => {
  const { app } = setUp()
  assert.equal((await app.request('/querier.v1.QuerierService/Nope', { method: 'POST' })).status, 404)
})
