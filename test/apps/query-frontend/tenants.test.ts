/** Label questions over several tenants: each set says whose it is; with one tenant nothing is added. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answerLabelNames, answerLabelValues, answerSeries } from '../../../apps/query-frontend/metadata.ts'
import type { CinderError } from '#core/errors.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { REPORT_SETS_MAX } from '#core/query/label-report.ts'
import type { LabelSetsRequest } from '#core/rpc/metastore.ts'
import { createRegexCompiler } from '#platform/regex.ts'

const NOW_MS = 1_764_000_000_000
const RANGE = { start: BigInt(NOW_MS - 1_000), end: BigInt(NOW_MS), matchers: [] as string[] }
const SETS: Record<string, string[][]> = { a: [['service_name', 'api']], b: [['service_name', 'web']], c: [] }

const metastore = {
  async labelSets({ tenants, namesOnly }: LabelSetsRequest) {
    const sets = tenants.flatMap((tenant) => SETS[tenant]!)
    return { sets: sets.map((pairs) => ({ pairs: namesOnly ? ['service_name', ''] : pairs })) }
  },
}

function contextOf(...tenants: string[]) {
  return { tenants, limitsOf: () => DEFAULT_LIMITS, regex: createRegexCompiler(), nowMs: NOW_MS }
}

test('names, values and series of several tenants show the tenant', async () => {
  const context = contextOf('a', 'b', 'c')
  assert.deepEqual(await answerLabelNames(metastore, RANGE as never, context, true), {
    names: ['__tenant_id__', 'service_name'],
  })
  const values = await answerLabelValues(metastore, { ...RANGE, name: '__tenant_id__' } as never, context)
  assert.deepEqual(values, { names: ['a', 'b'] })
  const matchers = ['{__tenant_id__="b"}']
  const services = await answerLabelValues(metastore, { ...RANGE, matchers, name: 'service_name' } as never, context)
  assert.deepEqual(services, { names: ['web'] })
  const { labelsSet } = await answerSeries(metastore, { ...RANGE, labelNames: [] } as never, context, true)
  assert.deepEqual(
    labelsSet.map(({ labels }) => labels.map(({ name, value }) => `${name}=${value}`).join(' ')),
    ['__tenant_id__=a service_name=api', '__tenant_id__=b service_name=web'],
  )
})

test('one tenant sees its labels as they are', async () => {
  assert.deepEqual(await answerLabelNames(metastore, RANGE as never, contextOf('a'), true), { names: ['service_name'] })
  const values = await answerLabelValues(metastore, { ...RANGE, name: '__tenant_id__' } as never, contextOf('a'))
  assert.deepEqual(values, { names: [] })
})

test('sets of all tenants are bounded together, and few tenants are asked at once', async () => {
  const many = Array.from({ length: 64 }, (_, i) => `t${String(i).padStart(2, '0')}`)
  const asked: string[] = []
  let [atOnce, most] = [0, 0]
  const sourceOf = (each: number) => ({
    async labelSets({ tenants }: LabelSetsRequest) {
      asked.push(...tenants)
      most = Math.max(most, ++atOnce)
      await Promise.resolve()
      atOnce--
      return { sets: Array.from({ length: each }, () => ({ pairs: ['pod', 'p'] })) }
    },
  })
  const request = { ...RANGE, labelNames: [] } as never
  const { labelsSet } = await answerSeries(sourceOf(2), request, contextOf(...many), true)
  assert.deepEqual([labelsSet.length, asked.toSorted(), most <= 8], [64, many, true])
  asked.length = 0
  await assert.rejects(
    answerSeries(sourceOf(REPORT_SETS_MAX / 10), request, contextOf(...many), true),
    (error: CinderError) =>
      error.kind === 'resource_exhausted' && /64 tenants .* 250000 .* fewer tenants/.test(error.message),
  )
  assert.ok(asked.length < 20, `${asked.length} tenants were asked`)
})
