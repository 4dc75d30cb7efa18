/** Budgets as a client meets them: refused with 400, the limit by name, and before anything is read where that can be. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeTree, FunctionTree } from '#core/flamegraph/tree.ts'
import { ADMISSION_DEFAULT } from '#core/query/admission.ts'
import type { TenantLimits } from '#core/limits/limits.ts'
import { StackProfile } from '#core/query/stack-profile.ts'
import type { SourceObject } from '#core/rpc/metastore.ts'
import { allocateInt64Column } from '#core/wire/int64.ts'
import { AdmissionGate } from '../../../apps/query-frontend/admission-gate.ts'
import { HandClock } from '../../support/hand-clock.ts'
import { createTestFrontend, NO_COST, NOW_MS } from '../../support/query-frontend.ts'
import { symbolsOf } from '../../support/symbols.ts'

const TYPE = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds'
const QUERY = { start: NOW_MS - 600_000, end: NOW_MS, profileTypeID: TYPE, labelSelector: '{}' }
const BY_POD = { ...QUERY, step: 15, groupBy: ['pod'] }

function planOf(more: { sizeBytes?: number; profileCount?: number }): SourceObject[] {
  const { sizeBytes = 10, profileCount = 100 } = more
  const descriptor = {
    index: 0,
    tenant: 'anonymous',
    service: 'shop',
    maxTimeMs: NOW_MS - 120_000,
    sizeBytes,
    headBytes: 5,
    profileCount,
    sampleCount: 1,
  }
  return [{ objectId: 'o', level: 0, sizeBytes, datasets: [{ descriptor, skip: [] }] } as unknown as SourceObject]
}

const podsOf = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ pairs: ['__profile_type__', TYPE, 'pod', `pod-${i}`] }))
const seriesOf = (count: number) => ({
  stats: NO_COST,
  series: Array.from({ length: count }, (_, i) => ({
    labels: [{ name: 'pod', value: `pod-${i}` }],
    stepIndexes: [0],
    sums: [1n],
    counts: [1],
  })),
})

async function refusal(
  ask: ReturnType<typeof createTestFrontend>['ask'],
  method: string,
  request: object,
): Promise<string> {
  const { status, body } = await ask(method, request)
  const { code, message } = body as { code: string; message: string }
  assert.deepEqual([status, code], [400, 'invalid_argument'], message)
  return message
}

test('bytes: every query is refused by its plan, time series by their heads alone', async () => {
  const backend = { timeSeries: async () => seriesOf(1) }
  const { ask, asked } = createTestFrontend({
    backend,
    objects: planOf({ sizeBytes: 1_000 }),
    limits: { maxQueryBytes: 99 },
  })
  const pattern =
    /^the query would read up to 1000 bytes .* limit maxQueryBytes allows 99 bytes: ask for the last 1m instead of 20m/
  assert.match(await refusal(ask, 'SelectMergeStacktraces', { ...QUERY, start: NOW_MS - 1_200_000 }), pattern)
  assert.match(await refusal(ask, 'SelectMergeProfile', { ...QUERY, start: NOW_MS - 1_200_000 }), pattern)
  assert.match(await refusal(ask, 'Diff', { left: QUERY, right: QUERY }), /limit maxQueryBytes/)
  const heatmap = { ...QUERY, step: 60, queryType: 'HEATMAP_QUERY_TYPE_SPAN' }
  assert.match(await refusal(ask, 'SelectHeatmap', heatmap), /limit maxQueryBytes/)
  assert.deepEqual([asked.stacks.length, asked.profiles.length], [0, 0])
  assert.equal((await ask('SelectSeries', BY_POD)).status, 200)
})

test('series: headers bound them, else label sets tell, and nothing is read', async () => {
  const limits: Partial<TenantLimits> = { maxQuerySeries: 10 }
  const few = createTestFrontend({
    backend: { timeSeries: async () => seriesOf(10) },
    objects: planOf({ profileCount: 10 }),
    limits,
  })
  assert.equal((await few.ask('SelectSeries', BY_POD)).status, 200)
  assert.equal(few.asked.sets.length, 0, 'ten headers make no eleven series')

  const many = createTestFrontend({ backend: {}, objects: planOf({}), sets: podsOf(11), limits })
  assert.match(
    await refusal(many.ask, 'SelectSeries', BY_POD),
    /makes 11 series or more, limit maxQuerySeries allows 10/,
  )
  assert.deepEqual([many.asked.sets.length, many.asked.series.length], [1, 0])
  const { names, startMs } = many.asked.sets[0]!
  assert.deepEqual([names, startMs], [['pod', '__profile_type__'], BY_POD.start - 15_000])

  const allowed = createTestFrontend({
    backend: { timeSeries: async () => seriesOf(10) },
    objects: planOf({}),
    sets: podsOf(10),
    limits,
  })
  assert.equal((await allowed.ask('SelectSeries', BY_POD)).status, 200)
  assert.equal((await allowed.ask('SelectSeries', { ...BY_POD, groupBy: [] })).status, 200)
})

test('series that label sets did not tell of are counted as they come', async () => {
  const { ask } = createTestFrontend({
    backend: { timeSeries: async () => seriesOf(11) },
    objects: planOf({}),
    sets: podsOf(2),
    limits: { maxQuerySeries: 10 },
  })
  assert.match(await refusal(ask, 'SelectSeries', BY_POD), /limit maxQuerySeries allows 10: group by fewer labels/)
})

test('series of a heat map are counted as they come too', async () => {
  const points = async () => ({
    stats: NO_COST,
    series: Array.from({ length: 11 }, (_, i) => ({
      labels: [{ name: 'pod', value: `pod-${i}` }],
      steps: [0],
      values: [1n],
      counts: [1],
      exemplars: [],
    })),
  })
  const heatmap = { ...QUERY, step: 60, groupBy: ['pod'], queryType: 'HEATMAP_QUERY_TYPE_INDIVIDUAL' }
  for (const maxQuerySeries of [11, 0]) {
    const { ask } = createTestFrontend({ backend: { points }, objects: planOf({}), limits: { maxQuerySeries } })
    assert.equal((await ask('SelectHeatmap', heatmap)).status, 200)
  }
  const { ask } = createTestFrontend({ backend: { points }, objects: planOf({}), limits: { maxQuerySeries: 10 } })
  assert.match(await refusal(ask, 'SelectHeatmap', heatmap), /makes 11 series or more, limit maxQuerySeries allows 10/)
})

test('nodes: the merged tree is bounded, whatever is shown of it', async () => {
  const tree = new FunctionTree()
  for (let i = 0; i < 20; i++) tree.addSelf(tree.child(0, tree.internText(`f${i}`)), 1, 0)
  const backend = { stacktraces: async () => ({ tree: encodeTree(tree), stats: NO_COST, selected: false }) }
  const refused = createTestFrontend({ backend, objects: planOf({}), limits: { maxQueryNodes: 20 } })
  assert.match(
    await refusal(refused.ask, 'SelectMergeStacktraces', { ...QUERY, maxNodes: 2 }),
    /more than 20 nodes, limit maxQueryNodes: ask for a shorter range, one service_name, or the stacks under/,
  )
  for (const maxQueryNodes of [21, 0]) {
    const { ask } = createTestFrontend({ backend, objects: planOf({}), limits: { maxQueryNodes } })
    assert.equal((await ask('SelectMergeStacktraces', QUERY)).status, 200)
  }
})

test('nodes: so are profiles with lines and graphs of calls, from one answer or several', async () => {
  const sums = allocateInt64Column(20)
  sums.lo.fill(1)
  const profile = new StackProfile()
  profile.add({ symbols: symbolsOf(Array.from({ length: 20 }, (_, i) => [`f${i}`])), sums })
  const stacks = profile.encode()
  const backend = { mergeProfile: async () => ({ stacks, stats: NO_COST, filtered: true }) }
  const methods = [
    ['SelectMergeProfile', QUERY],
    ['SelectMergeStacktraces', { ...QUERY, format: 'PROFILE_FORMAT_PPROF' }],
    ['SelectMergeStacktraces', { ...QUERY, format: 'PROFILE_FORMAT_DOT', maxNodes: 2 }],
  ] as const
  for (const [method, request] of methods) {
    for (const objects of [planOf({}), [...planOf({ sizeBytes: 2 ** 26 }), ...planOf({ sizeBytes: 2 ** 26 })]]) {
      const refused = createTestFrontend({ backend, objects, limits: { maxQueryNodes: 20 } })
      assert.match(await refusal(refused.ask, method, request), /more than 20 nodes, limit maxQueryNodes/)
      for (const maxQueryNodes of [21, 0]) {
        const { ask } = createTestFrontend({ backend, objects, limits: { maxQueryNodes } })
        assert.equal((await ask(method, request)).status, 200)
      }
    }
  }
})

test('turns: who finds no place is told when to come back, 429 for a tenant’s own crowd and 503 for that of all', async () => {
  const tree = encodeTree(new FunctionTree())
  for (const [limits, status, code] of [
    [{ waitingMax: 1, waitingPerTenantMax: 9 }, 503, 'unavailable'],
    [{ waitingMax: 9, waitingPerTenantMax: 1 }, 429, 'resource_exhausted'],
  ] as const) {
    const release = Promise.withResolvers<void>()
    const admission = new AdmissionGate({ ...ADMISSION_DEFAULT, ...limits }, new HandClock())
    const { ask } = createTestFrontend({
      backend: {
        async stacktraces() {
          await release.promise
          return { tree, stats: NO_COST, selected: false }
        },
      },
      objects: planOf({ sizeBytes: 2 ** 30 }),
      admission,
    })
    const all = Array.from({ length: 3 }, () => ask('SelectMergeStacktraces', QUERY))
    // Whichever comes third is refused: one runs, one waits.
    const third = await Promise.race(all)
    assert.deepEqual([third.status, (third.body as { code: string }).code], [status, code])
    assert.equal(third.headers.get('retry-after'), '2')
    release.resolve()
    const answers = await Promise.all(all)
    assert.deepEqual(answers.map((each) => each.status).sort(), [200, 200, status])
  }
})
