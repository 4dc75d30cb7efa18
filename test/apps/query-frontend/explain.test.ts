/** Who asks is told the plan, what was read, and where the time went; nobody else sees it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeTree, FunctionTree } from '#core/flamegraph/tree.ts'
import type { QueryReport } from '#core/query/plan-report.ts'
import type { SourceObject } from '#core/rpc/metastore.ts'
import { createTestFrontend, NOW_MS } from '../../support/query-frontend.ts'

const TYPE = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds'
const QUERY = { start: NOW_MS - 150_000, end: NOW_MS, profileTypeID: TYPE, labelSelector: '{service_name="s"}' }
const STATS = { objects: 1, ranges: 2, bytes: 3, datasets: 1, profiles: 1, samples: 1, keptHeads: 1 }
const TENANT = { 'X-Scope-OrgID': 'a' }
const PROCEDURE = '/querier.v1.QuerierService/SelectMergeStacktraces'

function source(objectId: string, level: number): SourceObject {
  const sizeBytes = 20 << 20
  const descriptor = { index: 0, tenant: 'a', service: 's', sizeBytes, headBytes: 9, profileCount: 1, sampleCount: 1 }
  return { objectId, level, sizeBytes, datasets: [{ descriptor, skip: [] }] } as unknown as SourceObject
}

function setUp() {
  const tree = encodeTree(new FunctionTree())
  const { app } = createTestFrontend({
    backend: {
      stacktraces: async () => ({ tree, stats: STATS, selected: false }),
      timeSeries: async () => ({ series: [], stats: STATS }),
    },
    objects: [source('o1', 0), source('o2', 3)],
    multitenancy: true,
  })
  const ask = (path: string, headers: Record<string, string>) =>
    app.request(path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...TENANT, ...headers },
      body: JSON.stringify(QUERY),
    })
  return { app, ask }
}

test('by a parameter or by the header of other clients, and by its id again', async () => {
  const { app, ask } = setUp()
  assert.equal((await ask(PROCEDURE, {})).headers.get('x-cinderblock-explain'), null)
  for (const [path, headers] of [
    [`${PROCEDURE}?explain=1`, {}],
    [PROCEDURE, { 'X-Pyroscope-Collect-Diagnostics': 'true' }],
  ] as const) {
    const response = await ask(path, headers)
    const report = JSON.parse(response.headers.get('x-cinderblock-explain')!) as QueryReport
    const { times, ...run } = report.runs[0]!
    assert.deepEqual(run, {
      kind: 'stacktraces',
      startMs: QUERY.start,
      endMs: QUERY.end,
      plans: 1,
      objects: 2,
      datasets: 2,
      planBytes: 40 << 20,
      levels: { 0: 1, 3: 1 },
      calls: 2,
      backends: 1,
      read: { objects: 2, ranges: 4, bytes: 6, datasets: 2, profiles: 2, samples: 2, keptHeads: 2 },
    })
    assert.deepEqual(Object.keys(times), ['planMs', 'waitMs', 'readMs', 'mergeMs', 'finishMs'])
    const id = response.headers.get('x-pyroscope-diagnostics-id')!
    assert.equal(report.id, id)
    const kept = await app.request(`/query-diagnostics/${id}`, { headers: TENANT })
    assert.deepEqual(await kept.json(), report)
    assert.equal((await app.request(`/query-diagnostics/${id}`, { headers: { 'X-Scope-OrgID': 'b' } })).status, 404)
    assert.equal((await app.request(`/query-diagnostics/${id}`)).status, 401)
  }
})

test('a render answer has it inside', async () => {
  const { app } = setUp()
  const query = encodeURIComponent(`${TYPE}{service_name="s"}`)
  const path = `/pyroscope/render?query=${query}&from=${QUERY.start}&until=${QUERY.end}`
  const plain = (await (await app.request(path, { headers: TENANT })).json()) as { explain?: QueryReport }
  assert.equal(plain.explain, undefined)
  const { explain } = (await (await app.request(`${path}&explain=1`, { headers: TENANT })).json()) as {
    explain: QueryReport
  }
  assert.deepEqual(explain.runs.map(({ kind }) => kind).sort(), ['series', 'stacktraces'])
})

test('reports are listed for who asked, newest first', async () => {
  const { app, ask } = setUp()
  const ids: string[] = []
  for (let i = 0; i < 2; i++) {
    ids.unshift((await ask(`${PROCEDURE}?explain=1`, {})).headers.get('x-pyroscope-diagnostics-id')!)
  }
  const list = async (tenant: string) => {
    const response = await app.request('/query-diagnostics', { headers: { 'X-Scope-OrgID': tenant } })
    return ((await response.json()) as { reports: { id: string; path: string; kinds: string[] }[] }).reports
  }
  const mine = await list(TENANT['X-Scope-OrgID'])
  assert.deepEqual(
    mine.map(({ id, path, kinds }) => [id, path, kinds]),
    ids.map((id) => [id, `/query-diagnostics/${id}`, ['stacktraces']]),
  )
  assert.deepEqual(await list('b'), [])
})
