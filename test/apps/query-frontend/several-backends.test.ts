/** One backend or eight, all alive or not: the same bytes, and what is missing is named. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { objectKey } from '#core/block/object-key.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { SourceObject } from '#core/rpc/metastore.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { WINDOW_START_MS } from '../../support/datasets.ts'
import { noisyDataset } from '../../support/noisy-dataset.ts'
import { putObject } from '../../support/objects.ts'
import { createQueryFleet, type QueryFleet } from '../../support/query-fleet.ts'

const END_MS = WINDOW_START_MS + 600_000
const CPU = ':cpu:nanoseconds:cpu:nanoseconds'
const QUERY = { profileTypeID: CPU, labelSelector: '{}', start: String(WINDOW_START_MS), end: String(END_MS) }
const OBJECTS = 10

let store: ObjectStore
let plan: SourceObject[]

before(async () => {
  store = createMemoryStore()
  plan = []
  for (let i = 0; i < OBJECTS; i++) {
    const datasets = ['cart', 'shop'].map((service) => ({
      dataset: noisyDataset({ tenant: 'anonymous', service, profiles: 2 + (i % 5), samples: 8 + i }),
    }))
    plan.push(await putObject(store, i, datasets))
  }
})

const fleetOf = (backends: number): QueryFleet =>
  createQueryFleet({ store, backends, plan: () => plan, nowMs: END_MS + 1_000 })

const REQUESTS: readonly (readonly [method: string, request: object])[] = [
  ['SelectMergeStacktraces', QUERY],
  ['SelectMergeStacktraces', { ...QUERY, maxNodes: '40' }],
  ['SelectMergeStacktraces', { ...QUERY, format: 'PROFILE_FORMAT_TREE' }],
  ['SelectMergeStacktraces', { ...QUERY, format: 'PROFILE_FORMAT_DOT' }],
  ['SelectMergeStacktraces', { ...QUERY, format: 'PROFILE_FORMAT_PPROF' }],
  ['SelectMergeProfile', QUERY],
  ['Diff', { left: QUERY, right: { ...QUERY, labelSelector: '{service_name="shop"}' } }],
  ['SelectSeries', { ...QUERY, step: 15, groupBy: ['service_name'], exemplarType: 'EXEMPLAR_TYPE_INDIVIDUAL' }],
  ['SelectSeries', { ...QUERY, step: 1, aggregation: 'TIME_SERIES_AGGREGATION_TYPE_AVERAGE' }],
  [
    'SelectHeatmap',
    { ...QUERY, step: 60, queryType: 'HEATMAP_QUERY_TYPE_INDIVIDUAL', exemplarType: 'EXEMPLAR_TYPE_INDIVIDUAL' },
  ],
]

interface Told {
  readonly status: number
  readonly body: string
  readonly warnings: readonly string[]
}

async function ask({ app }: QueryFleet, method: string, request: object): Promise<Told> {
  const response = await app.request(`/querier.v1.QuerierService/${method}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(request),
  })
  const warnings = JSON.parse(response.headers.get('x-cinderblock-warnings') ?? '[]') as string[]
  return { status: response.status, body: await response.text(), warnings }
}

async function askAll(fleet: QueryFleet): Promise<Told[]> {
  const answers: Told[] = []
  for (const [method, request] of REQUESTS) answers.push(await ask(fleet, method, request))
  return answers
}

test('the same bytes from one backend and from eight, and each of the eight has its share', async () => {
  const alone = await askAll(fleetOf(1))
  for (const [i, { status, body, warnings }] of alone.entries()) {
    assert.equal(status, 200, body)
    assert.ok(body.length > 100, `${REQUESTS[i]![0]}: ${body}`)
    assert.deepEqual(warnings, [])
  }
  const eight = fleetOf(8)
  assert.deepEqual(await askAll(eight), alone)
  assert.ok(eight.calls.filter((count) => count > 0).length >= 4, eight.calls.join(' '))
})

test('dead backends cost nothing but time: the others answer for them (H73)', async () => {
  const whole = await askAll(fleetOf(8))
  const fleet = fleetOf(8)
  fleet.dead.add(0).add(3).add(5)
  assert.deepEqual(await askAll(fleet), whole)
  for (let i = 0; i < 8; i++) fleet.dead.add(i)
  const { status, body } = await ask(fleet, 'SelectMergeStacktraces', QUERY)
  assert.equal(status, 503, body)
})

test('an object that is gone is named with what is missing of it; all else is answered, by every method (H26)', async () => {
  const [gone, ...kept] = plan
  const partial = createQueryFleet({ store, backends: 8, plan: () => plan, nowMs: END_MS + 1_000 })
  const rest = createQueryFleet({ store, backends: 1, plan: () => kept, nowMs: END_MS + 1_000 })
  const key = objectKey(gone!.objectId)
  const bytes = await store.get(key)
  await store.delete(key)
  try {
    for (const [method, request] of REQUESTS) {
      const { status, body, warnings } = await ask(partial, method, request)
      assert.equal(status, 200, body)
      // A file says inside of it what it lacks.
      const isFile =
        method === 'SelectMergeProfile' || ('format' in request && request.format === 'PROFILE_FORMAT_PPROF')
      if (isFile) assert.ok(body.includes('"the answer is not complete: 2 of 20 datasets could not be read"'), method)
      else assert.equal(body, (await ask(rest, method, request)).body, method)
      assert.equal(warnings[0], 'the answer is not complete: 2 of 20 datasets could not be read')
      assert.match(warnings[1]!, new RegExp(`^gone: dataset 0 of object ${gone!.objectId}, service "cart", `))
    }
  } finally {
    await store.put(key, bytes)
  }
})

test('a plan that names a region of another tenant as one’s own gets nothing of it (H78)', async () => {
  const other = noisyDataset({ tenant: 'other', service: 'shop', profiles: 3, samples: 20 })
  const mine = noisyDataset({ tenant: 'anonymous', service: 'cart', profiles: 2, samples: 10 })
  const shared = await putObject(store, 900, [{ dataset: mine }, { dataset: other }])
  const asOwn = shared.datasets.map(({ descriptor, skip }) => ({
    descriptor: { ...descriptor, tenant: 'anonymous' },
    skip,
  }))
  const fleetWith = (datasets: SourceObject['datasets']) =>
    createQueryFleet({ store, backends: 2, plan: () => [{ ...shared, datasets }], nowMs: END_MS + 1_000 })
  const crafted = fleetWith(asOwn)
  const honest = fleetWith(shared.datasets.filter(({ descriptor }) => descriptor.tenant === 'anonymous'))
  for (const [method, request] of REQUESTS) {
    const { status, body, warnings } = await ask(crafted, method, request)
    assert.equal(status, 200, body)
    assert.match(warnings[1]!, /^damaged: dataset 1 of object .*, service "shop"/)
    const isFile = body.includes('not complete')
    if (!isFile) assert.equal(body, (await ask(honest, method, request)).body, method)
  }
})
