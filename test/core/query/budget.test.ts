/** Budgets of queries: the smallest limit counts, and a refusal says what to ask for instead. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import {
  budgetOf,
  PLAN_DATASETS_MAX,
  QUERY_DURATION_MAX_MS,
  refuseBytes,
  refuseNodes,
  refusePlan,
  refuseSeries,
} from '#core/query/budget.ts'

const GIB = 2 ** 30
const COST = { objects: 3, datasets: 9, bytes: 4 * GIB, profiles: 5, samples: 5 }
const NONE = { bytes: 0, series: 0, nodes: 0, durationMs: 0 }

test('of several tenants the smallest limit counts, 0 is none, and no query lasts longer than objects are kept', () => {
  const limits = (more: Partial<typeof DEFAULT_LIMITS>) => ({ ...DEFAULT_LIMITS, ...more })
  const merged = budgetOf([
    limits({ maxQueryBytes: 0, maxQuerySeries: 7 }),
    limits({ maxQueryBytes: 5, maxQueryNodes: 0 }),
  ])
  assert.deepEqual(merged, { bytes: 5, series: 7, nodes: DEFAULT_LIMITS.maxQueryNodes, durationMs: 300_000 })
  assert.equal(budgetOf([limits({ maxQueryDurationMs: 0 })]).durationMs, QUERY_DURATION_MAX_MS)
  assert.equal(budgetOf([limits({ maxQueryDurationMs: 86_400_000 })]).durationMs, QUERY_DURATION_MAX_MS)
  assert.equal(budgetOf([limits({ maxQueryBytes: 0 })]).bytes, 0)
})

test('a refusal names estimate, limit, range and services', () => {
  const context = {
    rangeMs: 86_400_000,
    fittingMs: 6 * 3_600_000 + 59_999,
    dearest: [
      { service: 'che"ckout', bytes: 3 * GIB },
      { service: 'cart', bytes: 5 },
    ],
    isOneService: false,
  }
  assert.equal(
    refuseBytes(COST, GIB, context).message,
    'the query would read up to 4 GiB (9 datasets in 3 objects), limit maxQueryBytes allows 1 GiB: ask for the last 6h ' +
      'instead of 1d, or one service_name (the largest: "che\\"ckout" 3 GiB, "cart" 5 bytes)',
  )
  const one = refuseBytes({ ...COST, bytes: 4 * GIB + 1 }, 4 * GIB, { ...context, isOneService: true })
  assert.match(one.message, /up to 4\.1 GiB .* allows 4 GiB: ask for the last 6h instead of 1d$/)
  const tiny = refuseBytes(COST, 10, { ...context, fittingMs: 59_999, isOneService: true })
  assert.match(tiny.message, /10 bytes: ask for a range that ends earlier; no shorter one with this end reads less$/)
  const services = refuseBytes(COST, 10, { ...context, fittingMs: 0 })
  assert.match(services.message, /allows 10 bytes: ask for one service_name \(the largest: /)
})

test('a plan that is too large to hold is refused', () => {
  assert.equal(refusePlan(PLAN_DATASETS_MAX), undefined)
  const { kind, message } = refusePlan(PLAN_DATASETS_MAX + 1)!
  assert.equal(kind, 'invalid_argument')
  assert.match(message, /has 200001 datasets or more, 200000 are allowed: ask for a shorter range/)
})

test('a tree past its nodes is refused by the name of the limit', () => {
  const { kind, reason, message } = refuseNodes({ ...NONE, nodes: 7 })
  assert.deepEqual([kind, reason], ['invalid_argument', 'max_query_nodes'])
  assert.match(message, /more than 7 nodes, limit maxQueryNodes: ask for/)
})

test('series are refused above their limit', () => {
  assert.equal(refuseSeries(1_000_000, NONE), undefined)
  assert.equal(refuseSeries(10, { ...NONE, series: 10 }), undefined)
  const refused = refuseSeries(11, { ...NONE, series: 10 })!
  assert.deepEqual([refused.kind, refused.reason], ['invalid_argument', 'max_query_series'])
  assert.match(refused.message, /makes 11 series or more, limit maxQuerySeries allows 10: group by fewer/)
})
