import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeTree, FunctionTree } from '#core/flamegraph/tree.ts'
import { StackProfile } from '#core/query/stack-profile.ts'
import { allocateInt64Column } from '#core/wire/int64.ts'
import { type Answers, createTestFrontend, NO_COST, NOW_MS } from '../../support/query-frontend.ts'
import { symbolsOf } from '../../support/symbols.ts'

const TYPE = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds'
const FROM_S = (NOW_MS - 60_000) / 1000
const RANGE = `from=${FROM_S}&until=${NOW_MS / 1000}`
const QUERY = encodeURIComponent(`${TYPE}{service_name="api"}`)

function treeOf(stacks: Record<string, bigint>): Uint8Array {
  const tree = new FunctionTree()
  for (const [path, self] of Object.entries(stacks)) {
    const node = path.split(';').reduce((at, name) => tree.child(at, tree.internText(name)), 0)
    tree.addSelf(node, Number(self & 0xffffffffn), Number(self >> 32n))
  }
  return encodeTree(tree)
}

function stacks(): Uint8Array {
  const sums = allocateInt64Column(1)
  sums.lo[0] = 3
  const profile = new StackProfile()
  profile.add({ symbols: symbolsOf([['work', 'main']]), sums })
  return profile.encode()
}

const BIG = 2n ** 53n + 1n
const series = (labels: Record<string, string>, sums: bigint[]) => ({
  labels: Object.entries(labels).map(([name, value]) => ({ name, value })),
  stepIndexes: sums.map((_, i) => i),
  sums,
  counts: sums.map(() => 2),
})
const backend: Answers['backend'] = {
  stacktraces: async () => ({ tree: treeOf({ 'main;work': BIG, main: 1n }), stats: NO_COST, selected: false }),
  mergeProfile: async () => ({ stacks: stacks(), stats: NO_COST }),
  timeSeries: async () => ({ series: [series({}, [4n, 6n])], stats: NO_COST }),
}

const get = async (path: string, answers: Partial<Answers> = {}, init: RequestInit = {}) => {
  const { app, asked } = createTestFrontend({ backend, ...answers })
  const response = await app.request(`/pyroscope/${path}`, init)
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text(), asked }
}

test('render: a flame graph with exact integers, its metadata and a timeline', async () => {
  const { status, type, text, asked } = await get(`render?query=${QUERY}&${RANGE}&format=json`)
  assert.equal(status, 200)
  assert.equal(type, 'application/json')
  assert.equal(
    text,
    `{"version":1,"flamebearer":{"names":["total","main","work"],"levels":[[0,${BIG + 1n},0,0],[0,${BIG + 1n},1,1],` +
      `[1,${BIG},${BIG},2]],"numTicks":${BIG + 1n},"maxSelf":${BIG}},"metadata":{"format":"single","spyName":"",` +
      `"sampleRate":1000000000,"units":"samples","name":"cpu"},"timeline":{"startTime":${FROM_S},"samples":[4,6,0,0],` +
      '"durationDelta":15,"watermarks":null},"groups":null,"heatmap":null}',
  )
  assert.equal(asked.stacks[0]!.profileType, TYPE)
  assert.deepEqual(asked.stacks[0]!.matchers, [{ name: 'service_name', op: '=', value: 'api' }])
  assert.deepEqual(asked.plans[0]!.services, ['api'])
  assert.deepEqual([asked.series[0]!.startMs, asked.series[0]!.stepMs], [NOW_MS - 60_000, 15_000])
})

test('units and rates follow from the sample type', async () => {
  for (const [id, units, rate] of [
    ['memory:alloc_objects:count:space:bytes', 'objects', 100],
    ['memory:inuse_space:bytes:space:bytes', 'bytes', 100],
    ['process_cpu:samples:count:cpu:nanoseconds', 'objects', 100],
  ] as const) {
    const { metadata } = JSON.parse((await get(`render?query=${encodeURIComponent(`${id}{}`)}&${RANGE}`)).text)
    assert.deepEqual([metadata.units, metadata.sampleRate, metadata.name], [units, rate, id.split(':')[1]])
  }
})

test('groups are named by their first label, averages divide by profiles, several series have no common timeline', async () => {
  const grouped = {
    ...backend,
    timeSeries: async () => ({
      series: [series({ region: 'eu' }, [4n]), series({}, [10n, 2n])],
      stats: NO_COST,
    }),
  }
  const path = `render?query=${QUERY}&${RANGE}&groupBy=region&aggregation=avg`
  const { text, asked } = await get(path, { backend: grouped })
  const { timeline, groups } = JSON.parse(text)
  assert.deepEqual(timeline.samples, [0, 0, 0, 0])
  assert.deepEqual(Object.keys(groups).sort(), ['*', 'eu'])
  assert.deepEqual(
    [groups['*'].samples, groups.eu.samples],
    [
      [5, 1, 0, 0],
      [2, 0, 0, 0],
    ],
  )
  assert.deepEqual(asked.series[0]!.groupBy, ['region'])
})

test('render: DOT as text', async () => {
  const { type, text } = await get(`render?query=${QUERY}&${RANGE}&format=dot`)
  assert.equal(type, 'text/plain; charset=utf-8')
  assert.match(text, /^digraph "unnamed" {[^]*tooltip="main main.go:1 -> work work.go:1 \(0\)"[^]*}\n$/)
  const none = { mergeProfile: async () => ({ stacks: new Uint8Array(0), stats: NO_COST }) }
  assert.equal((await get(`render?query=${QUERY}&${RANGE}&format=dot`, { backend: none })).text, '')
})

test('limits of nodes: maxNodes wins, what is no number is ignored', async () => {
  const namesOf = async (limit: string): Promise<string[]> =>
    JSON.parse((await get(`render?query=${QUERY}&${RANGE}&${limit}`)).text).flamebearer.names
  assert.deepEqual(await namesOf('max-nodes=1'), ['total', 'main', 'other'])
  assert.equal((await namesOf('max-nodes=1&maxNodes=10')).includes('work'), true)
  assert.equal((await namesOf('max-nodes=many')).includes('work'), true)
})

test('render-diff: two sides of one type', async () => {
  const sides = `leftQuery=${QUERY}&leftFrom=${FROM_S}&leftUntil=${NOW_MS / 1000}&rightQuery=${QUERY}&rightFrom=${FROM_S}`
  const { status, text, asked } = await get(`render-diff?${sides}&rightUntil=now`)
  assert.equal(status, 200)
  assert.match(text, /"format":"double"/)
  assert.match(text, new RegExp(`"leftTicks":${BIG + 1n},"rightTicks":${BIG + 1n},`))
  assert.match(text, /"timeline":null,"groups":null,"heatmap":null}$/)
  assert.equal(asked.stacks.length, 2)
})

test('faults of parameters are 400 by name, before anything is read', async () => {
  const other = encodeURIComponent('memory:inuse_space:bytes:space:bytes{}')
  for (const [path, message] of [
    [`render?${RANGE}`, '"query" is required'],
    [`render?query=bad&${RANGE}`, 'failed to parse "query"'],
    [`render?query={a="b"}&${RANGE}`, 'failed to parse "query"'],
    [`render?query=${encodeURIComponent(`${TYPE}{a=~"("}`)}&${RANGE}`, 'failed to parse "query"'],
    [`render?query=${QUERY}&from=0&until=0`, 'missing time range'],
    [`render?query=${QUERY}&from=${FROM_S}&until=${FROM_S - 1}`, 'start time is after end'],
    [`render?query=${QUERY}&from=yesterday`, '"from" is "yesterday"'],
    [`render?query=${QUERY}&${RANGE}&max-nodes=-1`, 'max flamegraph nodes'],
    [`render?query=${QUERY}&${RANGE}&max-nodes=99999999`, 'greater than allowed'],
    [`render-diff?leftQuery=${QUERY}`, '"rightQuery" is required'],
    [`render-diff?leftQuery=${QUERY}&rightQuery=${other}`, 'profile types must match'],
    ['label-values', 'label parameter is required'],
  ] as const) {
    const { status, text, asked } = await get(path)
    assert.equal(status, 400, path)
    assert.equal(JSON.parse(text).code, 'invalid_argument')
    assert.ok(JSON.parse(text).message.includes(message), text)
    assert.equal(asked.plans.length, 0)
  }
})

test('other methods are 405; parameters are judged before a bad tenant, not before a missing one (H77)', async () => {
  for (const method of ['POST', 'PUT', 'DELETE']) assert.equal((await get('render', {}, { method })).status, 405)
  const as = (tenant?: string): RequestInit => (tenant === undefined ? {} : { headers: { 'X-Scope-OrgID': tenant } })
  const multitenancy = true
  assert.equal((await get('render?query=x', { multitenancy }, as())).status, 401)
  assert.match((await get('render?query=x', { multitenancy }, as('a/b'))).text, /failed to parse/)
  const bad = await get(`render?query=${QUERY}&${RANGE}`, { multitenancy }, as('a/b'))
  assert.deepEqual([bad.status, JSON.parse(bad.text).code], [400, 'invalid_argument'])
  const two = await get(`render?query=${QUERY}&${RANGE}`, { multitenancy }, as('b|a'))
  assert.deepEqual([two.status, two.asked.plans[0]!.tenants], [200, ['a', 'b']])
})

test('labels: values of any label over the last hour, profile types as the name, nothing as null', async () => {
  const sets = [
    { pairs: ['__name__', 'process_cpu', '__profile_type__', TYPE, 'region', 'eu'] },
    { pairs: ['__name__', 'process_cpu', '__profile_type__', TYPE, 'ünicode', 'x'] },
  ]
  const values = await get('label-values?label=region', { sets })
  assert.deepEqual(JSON.parse(values.text), ['eu'])
  assert.deepEqual([values.asked.sets[0]!.startMs, values.asked.sets[0]!.endMs], [NOW_MS - 3_600_000, NOW_MS])
  assert.deepEqual(JSON.parse((await get('label-values?label=__name__', { sets })).text), [TYPE])
  assert.equal((await get('label-values?label=nope', { sets })).text, 'null')
  assert.deepEqual(JSON.parse((await get('label-names', { sets })).text), ['__name__', '__profile_type__', 'region'])
  const utf8 = { headers: { Accept: '*/*;allow-utf8-labelnames=true' } }
  assert.equal((await get('label-names', { sets }, utf8)).text.includes('ünicode'), true)
})

test('large answers are gzip where the client takes it', async () => {
  const wide = {
    ...backend,
    stacktraces: async () => ({
      tree: treeOf(Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`main;f${i}`, 1n]))),
      stats: NO_COST,
      selected: false,
    }),
  }
  const { app } = createTestFrontend({ backend: wide })
  const response = await app.request(`/pyroscope/render?query=${QUERY}&${RANGE}`, {
    headers: { 'Accept-Encoding': 'gzip' },
  })
  assert.equal(response.headers.get('content-encoding'), 'gzip')
  const text = new TextDecoder().decode(Bun.gunzipSync(new Uint8Array(await response.arrayBuffer())))
  assert.equal(JSON.parse(text).flamebearer.numTicks, 200)
})

test('a timeline reaches as far back as the tenant may look, like the flame graph beside it', async () => {
  const hourMs = 3_600_000
  const from = (NOW_MS - 12 * hourMs) / 1000
  const { text, asked } = await get(`render?query=${QUERY}&from=${from}&until=${NOW_MS / 1000}`, {
    limits: { maxQueryLookbackMs: hourMs },
  })
  const [{ stepMs, startMs }] = asked.series as [(typeof asked.series)[0]]
  // The first point covers the step before it, as in every series.
  assert.ok(startMs >= NOW_MS - hourMs && startMs < NOW_MS - hourMs + stepMs, `${NOW_MS - startMs} ms ago`)
  assert.ok(asked.plans.every((plan) => plan.startMs >= NOW_MS - hourMs - stepMs))
  // What is shown is the range that was asked for.
  const { timeline } = JSON.parse(text) as { timeline: { startTime: number; samples: number[] } }
  assert.equal(timeline.startTime, from)
  assert.equal(timeline.samples.indexOf(4), (startMs - from * 1000) / stepMs)
})

test('labels of several tenants have the tenant, as they have in the querier', async () => {
  const sets = [{ pairs: ['region', 'eu'] }]
  const ask = async (path: string) => {
    const init = { headers: { 'X-Scope-OrgID': 'b|a' } }
    return JSON.parse((await get(path, { sets, multitenancy: true }, init)).text) as unknown
  }
  assert.deepEqual(await ask('label-values?label=__tenant_id__'), ['a', 'b'])
  assert.deepEqual(await ask('label-values?label=region'), ['eu'])
})
