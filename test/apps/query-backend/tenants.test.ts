/** Reads over several tenants: the tenant is a label where a query names it, whatever was pushed under that name. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createQueryBackend } from '../../../apps/query-backend/app.ts'
import { createCodec } from '#platform/codec.ts'
import { createMemoryStore } from '#platform/object-store/memory.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import { CPU_GROUP, makeDataset, makeLabels, WINDOW_START_MS, WINDOW_START_NANOS } from '../../support/datasets.ts'
import { putObject } from '../../support/objects.ts'
import { stacksOf } from '../../support/write-path.ts'

const store = createMemoryStore()
const backend = createQueryBackend({ store, codec: createCodec(), regex: createRegexCompiler() })

function datasetOf(tenant: string, value: bigint) {
  return makeDataset({
    tenant,
    series: [makeLabels({ __name__: 'cpu', __tenant_id__: 'claimed', pod: 'p' })],
    groups: [CPU_GROUP],
    profiles: [
      {
        series: 0,
        group: 0,
        timeNanos: WINDOW_START_NANOS,
        id: 1,
        samples: [{ stack: ['main'], values: [1n, value] }],
      },
    ],
  })
}

test('series and points are grouped by tenant, and matchers choose one', async () => {
  const object = await putObject(store, 1, [{ dataset: datasetOf('a', 3n) }, { dataset: datasetOf('b', 5n) }])
  const base = {
    profileType: 'cpu:cpu:nanoseconds:cpu:nanoseconds',
    matchers: [] as { name: string; op: string; value: string }[],
    startMs: WINDOW_START_MS,
    endMs: WINDOW_START_MS + 60_000,
    objects: [object],
  }
  const grid = { originMs: WINDOW_START_MS, stepMs: 1_000, groupBy: ['__tenant_id__'] }
  const label = (value: string) => [{ name: '__tenant_id__', value }]
  const { series } = await backend.timeSeries({ ...base, ...grid })
  assert.deepEqual(
    series.map(({ labels, sums }) => [labels, sums]),
    [
      [label('a'), [3n]],
      [label('b'), [5n]],
    ],
  )
  const wish = { spans: false, exemplars: true, best: false }
  const points = await backend.points({ ...base, ...grid, ...wish })
  assert.deepEqual(
    points.series.map(({ labels, values }) => [labels, values]),
    [
      [label('a'), [3n]],
      [label('b'), [5n]],
    ],
  )
  const onlyB = [{ name: '__tenant_id__', op: '=', value: 'b' }]
  assert.deepEqual(stacksOf((await backend.stacktraces({ ...base, matchers: onlyB })).tree), { main: 5n })
  const claimed = [{ name: '__tenant_id__', op: '=', value: 'claimed' }]
  assert.deepEqual(stacksOf((await backend.stacktraces({ ...base, matchers: claimed })).tree), {})
  assert.deepEqual(stacksOf((await backend.stacktraces(base)).tree), { main: 8n })
})
