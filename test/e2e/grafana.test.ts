/**
 * What Grafana's data source and Profiles Drilldown send, as they send it (snake_case and camelCase, numbers and texts,
 * empty lists, no range), over a whole server: an empty store first, then what the Node agent pushed.
 */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { restampPprof } from '../support/restamp.ts'
import { callRpc, expectOk, type FlameGraphMessage, ingest, readFlameGraph } from '../support/server-client.ts'
import { ROOT } from '../support/server-process.ts'
import { createServiceStack, type ServiceStack } from '../support/service-stack.ts'

const QUERIER = 'querier.v1.QuerierService'
/** As Grafana's tables of units and descriptions have them. */
const WALL = 'wall:wall:nanoseconds:wall:nanoseconds'
const HEAP = 'memory:inuse_space:bytes:inuse_space:bytes'
const SERVICE = 'node-shop'

interface Exemplar {
  readonly profileId: string
  readonly value: string
}
interface SeriesMessage {
  readonly labels?: readonly { readonly name: string; readonly value: string }[]
  readonly points: readonly {
    readonly timestamp: string
    readonly value: number
    readonly exemplars?: readonly Exemplar[]
  }[]
}

function clientOf(stack: ServiceStack, nowMs: number) {
  const range = { start: nowMs - 3_600_000, end: nowMs + 60_000 }
  return {
    range,
    ask: (method: string, request: object = {}) => expectOk(callRpc(stack.send, `${QUERIER}/${method}`, request)),
    render: async (path: string) => expectOk(Promise.resolve(stack.send(path))),
  }
}

test('an empty store has the shapes that clients draw, for every question that they ask (H70)', async () => {
  const stack = await createServiceStack()
  const { ask, render, range } = clientOf(stack, Date.now())
  const query = { profile_typeID: WALL, label_selector: '{}', ...range }
  for (const [method, request] of [
    ['ProfileTypes', {}],
    ['ProfileTypes', range],
    ['LabelNames', { matchers: ['{}'], ...range }],
    ['LabelValues', { name: 'service_name', matchers: [''], ...range }],
    ['Series', { matchers: [], labelNames: ['service_name', '__profile_type__'], ...range }],
    ['SelectSeries', { ...query, group_by: [], step: 15 }],
    ['SelectHeatmap', { ...query, step: 15, queryType: 'HEATMAP_QUERY_TYPE_SPAN', limit: 100 }],
    ['SelectMergeProfile', query],
    ['GetProfileStats', {}],
    ['AnalyzeQuery', { ...range, query: `${WALL}{}` }],
  ] as const) {
    assert.deepEqual(await ask(method, request), {}, method)
  }
  const empty = { names: ['total'], levels: [{ values: ['0', '0', '0', '0'] }] }
  assert.deepEqual(await ask('SelectMergeStacktraces', { ...query, maxNodes: 16_384 }), { flamegraph: empty })
  assert.deepEqual(await ask('SelectMergeSpanProfile', { ...query, span_selector: ['0000000000000001'] }), {
    flamegraph: empty,
  })
  const { flamegraph } = await ask('Diff', { left: query, right: query })
  assert.deepEqual((flamegraph as { names: string[] }).names, ['total'])
  const encoded = encodeURIComponent(`${WALL}{service_name="nobody"}`)
  const rendered = await render(`/pyroscope/render?query=${encoded}&from=now-1h&until=now&format=json`)
  assert.deepEqual((rendered.flamebearer as { levels: number[][] }).levels, [[0, 0, 0, 0]])
  await stack.close()
})

async function pushNode(stack: ServiceStack, nowMs: number): Promise<void> {
  for (const [i, name] of ['cpu', 'inuse_space', 'cpu'].entries()) {
    const recorded = await readFile(join(ROOT, 'test/fixtures/profiles/node-agent', `${name}.pprof.gz`))
    const fromMs = nowMs - 60_000 - 15_000 * i
    const query = { name: SERVICE, from: String(fromMs), until: String(fromMs + 10_000), spyName: 'nodespy' }
    await expectOk(ingest(stack.send, query, restampPprof(recorded, fromMs)))
  }
}

test('CPU and heap of Node are drawn, from the first acknowledgement on, before and after compaction (H74)', async () => {
  const stack = await createServiceStack()
  const nowMs = Date.now()
  const { ask, render, range } = clientOf(stack, nowMs)
  await pushNode(stack, nowMs)
  const stats = await ask('GetProfileStats')
  assert.equal(stats.dataIngested, true)
  assert.ok(Number(stats.oldestProfileTime) <= nowMs && Number(stats.newestProfileTime) >= nowMs - 70_000)
  for (const step of ['fresh', 'compacted']) {
    if (step === 'compacted') await stack.compact()
    // Old versions of the data source send no range; the health check is this.
    const { profileTypes } = (await ask('ProfileTypes')) as {
      profileTypes: { ID: string; name: string; sampleUnit: string }[]
    }
    const ids = profileTypes.map(({ ID }) => ID)
    assert.ok(ids.includes(WALL) && ids.includes(HEAP), ids.join())
    const { labelsSet } = (await ask('Series', {
      matchers: [],
      label_names: ['service_name', '__profile_type__'],
      ...range,
    })) as {
      labelsSet: { labels: { name: string; value: string }[] }[]
    }
    assert.deepEqual(
      labelsSet.map(({ labels }) => labels.map(({ value }) => value)).sort(),
      ids.map((id) => [id, SERVICE]).sort(),
    )
    assert.deepEqual(await ask('LabelValues', { name: 'service_name', matchers: [''], ...range }), { names: [SERVICE] })
    for (const type of [WALL, HEAP]) await checkPanels(ask, { type, range, step })
    const encoded = encodeURIComponent(`${WALL}{service_name="${SERVICE}"}`)
    const rendered = await render(
      `/pyroscope/render?query=${encoded}&from=${range.start}&until=${range.end}&format=json&max-nodes=100`,
    )
    assert.deepEqual(Object.keys(rendered).sort(), [
      'flamebearer',
      'groups',
      'heatmap',
      'metadata',
      'timeline',
      'version',
    ])
    const { queryScopes, queryImpact } = (await ask('AnalyzeQuery', {
      ...range,
      query: `${WALL}{service_name="${SERVICE}"}`,
    })) as {
      queryScopes: {
        componentType: string
        blockCount: string
        profileCount: string
        sampleCount: string
        seriesCount: string
      }[]
      queryImpact: { totalBytesInTimeRange: string }
    }
    assert.deepEqual(
      queryScopes.map(({ componentType }) => componentType),
      [step === 'fresh' ? 'Short term storage' : 'Long term storage'],
    )
    // Sample labels of the agent make seven parts of three profiles, in three series of the type.
    assert.deepEqual([queryScopes[0]!.profileCount, queryScopes[0]!.seriesCount], ['7', '3'])
    assert.ok(Number(queryScopes[0]!.sampleCount) > 0 && Number(queryImpact.totalBytesInTimeRange) > 0)
  }
  await stack.close()
})

interface Panel {
  readonly type: string
  readonly range: { readonly start: number; readonly end: number }
  readonly step: string
}

/** A time series with exemplars, the flame graph of all, of an exemplar, and its download. */
async function checkPanels(ask: ReturnType<typeof clientOf>['ask'], { type, range, step }: Panel): Promise<void> {
  const selector = `{service_name="${SERVICE}"}`
  const query = { profile_typeID: type, label_selector: selector, ...range }
  const wish = { ...query, group_by: ['service_name'], step: 15, exemplar_type: 'EXEMPLAR_TYPE_INDIVIDUAL' }
  const { series } = (await ask('SelectSeries', wish)) as { series: SeriesMessage[] }
  assert.deepEqual(
    series.map(({ labels }) => labels),
    [[{ name: 'service_name', value: SERVICE }]],
  )
  const { points } = series[0]!
  assert.ok(points.every(({ timestamp }, i) => i === 0 || Number(timestamp) > Number(points[i - 1]!.timestamp)))
  const merged = await ask('SelectMergeStacktraces', {
    ...query,
    maxNodes: 16_384,
    format: 'PROFILE_FORMAT_FLAMEGRAPH',
  })
  const message = merged.flamegraph as FlameGraphMessage
  assert.deepEqual([message.levels![0]!.values!.length, message.levels![0]!.values![0]], [4, '0'])
  const { total, nodes } = readFlameGraph(message)
  assert.ok(nodes.length > 10, `${type} ${step}: ${nodes.length} nodes`)
  assert.equal(
    points.reduce((sum, { value }) => sum + value, 0),
    Number(total),
    `${type} ${step}`,
  )
  const [exemplar] = points.flatMap(({ exemplars = [] }) => exemplars)
  const one = await ask('SelectMergeStacktraces', { ...query, profile_id_selector: [exemplar!.profileId] })
  assert.equal(readFlameGraph(one.flamegraph as FlameGraphMessage).total, BigInt(exemplar!.value))
  const child = nodes.find(({ path }) => path.length === 2)!
  const stackTraceSelector = { call_site: [{ name: child.path[1] }] }
  const below = await ask('SelectMergeStacktraces', { ...query, stack_trace_selector: stackTraceSelector })
  assert.equal(readFlameGraph(below.flamegraph as FlameGraphMessage).total, child.total)
  const profile = (await ask('SelectMergeProfile', query)) as { sample: { value: string[] }[]; stringTable: string[] }
  assert.equal(
    profile.sample.reduce((sum, { value }) => sum + BigInt(value[0]!), 0n),
    total,
  )
  const { pprof } = (await ask('SelectMergeStacktraces', { ...query, format: 'PROFILE_FORMAT_PPROF' })) as {
    pprof: { profile: typeof profile }
  }
  assert.deepEqual(pprof.profile.sample.length, profile.sample.length)
}
