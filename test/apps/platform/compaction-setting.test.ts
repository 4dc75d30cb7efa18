import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readCompaction } from '#platform/compaction-setting.ts'

test('what is not said is not set; what is said is', () => {
  assert.deepEqual(readCompaction(undefined), {})
  assert.deepEqual(readCompaction('{}'), {})
  const all = {
    order: 'smallest-range-oldest-blocks-first',
    enabledTenants: ['a'],
    disabledTenants: ['b', 'c'],
    tenantShardSize: 3,
    runningPerTenantMax: 2,
    runningPerLevelMax: { 7: 1 },
  }
  assert.deepEqual(readCompaction(JSON.stringify({ ...all, jobTimeMax: '5m' })), { ...all, jobTimeMaxMs: 300_000 })
  const windows = { aggregationWindows: { acme: '15s', quiet: '0', '*': '5m' } }
  assert.deepEqual(readCompaction(JSON.stringify(windows)), {
    aggregationWindowsMs: { acme: 15_000, quiet: 0, '*': 300_000 },
  })
})

const refused: [string, RegExp][] = [
  ['nonsense', /^setting CINDER_COMPACTION is no JSON object: nonsense/],
  ['[]', /^setting CINDER_COMPACTION is no JSON object: \[\]; write/],
  ['{"order":"largest-first"}', /COMPACTION: order is wrong: one of small-job-first, smallest-range/],
  ['{"disabledTenant":["a"]}', /COMPACTION: disabledTenant is unknown; known: order, enabledTenants, /],
  ['{"disabledTenants":"a"}', /COMPACTION: disabledTenants is wrong/],
  ['{"tenantShardSize":1.5}', /COMPACTION: tenantShardSize is wrong: a whole number/],
  ['{"runningPerLevelMax":{"first":1}}', /COMPACTION: runningPerLevelMax.first is wrong: a level/],
  ['{"aggregationWindows":{"acme":"7s"}}', /aggregationWindows of "acme" is "7s"; allowed are "0" and times from "1s"/],
  ['{"aggregationWindows":{"acme":"2h"}}', /aggregationWindows of "acme" is "2h"/],
  ['{"aggregationWindows":{"":"1m"}}', /aggregationWindows.* is wrong: a tenant, or \*/],
  ['{"jobTimeMax":"1s"}', /COMPACTION: jobTimeMax is "1s"; at least "1m"/],
]
for (const [text, message] of refused) {
  test(`refused at the start: ${text} (H63)`, () => {
    assert.throws(() => readCompaction(text), { kind: 'invalid_argument', message })
  })
}
