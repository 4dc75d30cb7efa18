import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { analyzeQuery } from '../../../apps/query-frontend/analyze.ts'
import type { RequestContext } from '../../../apps/query-frontend/request.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { AnalyzeQueryRequestSchema } from '#platform/gen/querier/v1/querier_pb.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import { EMPTY_OBJECT } from '../../support/query-frontend.ts'

const TYPE = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds'
const NOW_MS = 7_200_000

/** Sets of two services, in turns. */
function setsOf(count: number) {
  return Array.from({ length: count }, (_, i) => ({
    pairs: ['__profile_type__', TYPE, 'pod', `p-${i}`, 'service_name', i % 2 === 0 ? 'shop' : 'other'],
  }))
}

async function analyze(count: number, tenants: readonly string[] = ['a']) {
  let turns = 0
  const context: RequestContext = {
    tenants,
    limitsOf: () => DEFAULT_LIMITS,
    regex: createRegexCompiler(),
    nowMs: NOW_MS,
  }
  const sources = {
    metastore: { planQuery: async () => ({ objects: [EMPTY_OBJECT] }) },
    labels: { labelSets: async () => ({ sets: setsOf(count) }) },
    clock: { sleep: async () => void turns++ },
  }
  const request = { start: BigInt(NOW_MS - 3_600_000), end: BigInt(NOW_MS), query: `${TYPE}{service_name="shop"}` }
  const { queryImpact } = await analyzeQuery(sources, create(AnalyzeQueryRequestSchema, request), context)
  return { series: queryImpact?.totalQueriedSeries, turns }
}

test('series that match are counted, of several tenants each for itself', async () => {
  assert.deepEqual(await analyze(0), { series: 0n, turns: 0 })
  assert.deepEqual(await analyze(5), { series: 3n, turns: 0 })
  assert.deepEqual(await analyze(5, ['a', 'b']), { series: 6n, turns: 0 })
})

test('many series are counted in slices, with a turn of the loop between them', async () => {
  assert.deepEqual(await analyze(5_000), { series: 2_500n, turns: 2 })
})
