import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { composeSettings, parseSettingsLayer } from '#core/ingest/tenant-settings.ts'

const POLICY = { clockAhead: 'clamp' }

test('layers lie over each other: the process, what holds for all, what a tenant has of its own', () => {
  const base = { ...DEFAULT_LIMITS, maxSamples: 1, maxStackDepth: 1, maxLabelNames: 1, maxSymbolBytes: 1 }
  const file = parseSettingsLayer({
    defaults: { maxSamples: 2, maxStackDepth: 2, rejectOlderThan: '2h', ingest: POLICY },
    tenants: { a: { maxStackDepth: 3, maxLabelNames: 3 }, c: { ingest: {} } },
  })
  const rows = parseSettingsLayer({ tenants: { a: { maxLabelNames: 4 }, b: { maxSamples: 4 } } })
  const settings = composeSettings(base, [file, rows])
  const of = (tenant: string) => {
    const { maxSamples, maxStackDepth, maxLabelNames, maxSymbolBytes } = settings.limitsOf(tenant)
    return [maxSamples, maxStackDepth, maxLabelNames, maxSymbolBytes]
  }
  assert.deepEqual(of('nobody'), [2, 2, 1, 1])
  assert.deepEqual(of('a'), [2, 3, 4, 1])
  assert.deepEqual(of('b'), [4, 2, 1, 1])
  assert.equal(settings.limitsOf('b').rejectOlderThanMs, 7_200_000)
  assert.equal(settings.policyOf('a'), JSON.stringify(POLICY))
  assert.equal(settings.policyOf('c'), '{}')
  assert.equal(settings.limitsOf('x'), settings.limitsOf('y'), 'one object for all that have nothing of their own')
  assert.equal(settings.limitsOf('a'), settings.limitsOf('a'))
})

test('without layers every tenant has the limits of the process and the default policy', () => {
  const settings = composeSettings()
  assert.equal(settings.limitsOf('a'), DEFAULT_LIMITS)
  assert.equal(settings.policyOf('a'), undefined)
})

test('what is wrong is named with its tenant (H63)', () => {
  const cases: [unknown, RegExp][] = [
    [[], /the settings of tenants is not an object/],
    [{ tenant: {} }, /unknown key tenant; known are defaults, tenants/],
    [{ defaults: 5 }, /defaults is not an object/],
    [{ tenants: { a: [] } }, /tenants.a is not an object/],
    [{ tenants: { a: { maxSample: 1 } } }, /tenants.a: unknown limit "maxSample"; known limits: /],
    [{ defaults: { rejectOlderThan: '1x' } }, /defaults: limit rejectOlderThan is "1x"; allowed: a duration/],
    [{ tenants: { a: { ingest: { clockAhead: 'x' } } } }, /tenants.a: clockAhead is "x"; allowed: reject, clamp/],
  ]
  for (const [json, message] of cases) assert.throws(() => parseSettingsLayer(json), message, JSON.stringify(json))
  const many = Object.fromEntries(Array.from({ length: 100_001 }, (_, i) => [`t${i}`, {}]))
  assert.throws(() => parseSettingsLayer({ tenants: many }), /100001 tenants, 100000 are allowed/)
})

test('a tenant may be called as anything that objects have', () => {
  const settings = composeSettings(DEFAULT_LIMITS, [
    parseSettingsLayer(JSON.parse('{"tenants":{"__proto__":{"maxSamples":5}}}')),
  ])
  assert.equal(settings.limitsOf('__proto__').maxSamples, 5)
  assert.equal(settings.limitsOf('toString').maxSamples, DEFAULT_LIMITS.maxSamples)
})
