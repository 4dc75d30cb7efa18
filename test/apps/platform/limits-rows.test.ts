/** Limits from rows over those of a file: soon after a change, and the last known ones while nobody answers. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { composeSettings, parseSettingsLayer } from '#core/ingest/tenant-settings.ts'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import type { ListOverridesRequest, TenantOverrides } from '#core/rpc/tenant-limits.ts'
import { openLimitRows } from '#platform/limits-rows.ts'
import { createManualClock } from '../../support/manual-clock.ts'
import { createSilentLog } from '../../support/silent-log.ts'

const TURN_MS = 10_000

async function setUp(first: Record<string, unknown>) {
  const clock = createManualClock(1_764_000_000_000)
  const log = createSilentLog()
  const state = { generation: 1, rows: first, isAway: false }
  const asked: number[] = []
  const overrides = {
    async listOverrides({ generation }: ListOverridesRequest) {
      asked.push(generation)
      if (state.isAway) throw new Error('away')
      const changed = generation !== state.generation
      const tenants: TenantOverrides[] = Object.entries(state.rows).map(([tenant, limits]) => ({
        tenant,
        overrides: JSON.stringify(limits),
        changedAtMs: 0,
      }))
      return { generation: state.generation, changed, tenants: changed ? tenants : [] }
    },
  }
  let file = composeSettings(DEFAULT_LIMITS, [
    parseSettingsLayer({ tenants: { acme: { maxSamples: 5, maxLabelNames: 7 } } }),
  ])
  let isStopped = false
  const inner = {
    limitsOf: (tenant: string) => file.limitsOf(tenant),
    policyOf: () => '{}',
    stop: async () => void (isStopped = true),
  }
  const opened = await openLimitRows(inner, { clock, log, overrides })
  const change = (rows: Record<string, unknown>) => {
    state.rows = rows
    state.generation++
  }
  const replaceFile = (maxLabelNames: number) => {
    file = composeSettings(DEFAULT_LIMITS, [parseSettingsLayer({ tenants: { acme: { maxLabelNames } } })])
  }
  return { clock, log, state, asked, opened, change, replaceFile, stopped: () => isStopped }
}

test('rows count over the file, and a change holds ten seconds later', async () => {
  const { clock, opened, change, asked, replaceFile, stopped } = await setUp({ acme: { maxSamples: 9 } })
  assert.deepEqual([opened.limitsOf('acme').maxSamples, opened.limitsOf('acme').maxLabelNames], [9, 7])
  assert.equal(opened.limitsOf('acme'), opened.limitsOf('acme'))
  assert.equal(opened.limitsOf('other'), opened.limitsOf('third'))
  assert.equal(opened.policyOf('acme'), '{}')
  change({ other: { rejectOlderThan: '2h' } })
  await clock.advance(TURN_MS)
  assert.equal(opened.limitsOf('acme').maxSamples, 5)
  assert.equal(opened.limitsOf('other').rejectOlderThanMs, 7_200_000)
  change({ acme: { maxSamples: 1 } })
  await clock.advance(TURN_MS)
  replaceFile(3)
  assert.deepEqual([opened.limitsOf('acme').maxSamples, opened.limitsOf('acme').maxLabelNames], [1, 3])
  await clock.advance(TURN_MS)
  assert.deepEqual(asked, [0, 1, 2, 3])
  await opened.stop()
  assert.ok(stopped())
})

test('while the metastore is away the last known limits stay, and it is said once', async () => {
  const { clock, opened, state, log, change } = await setUp({ acme: { maxSamples: 9 } })
  state.isAway = true
  change({})
  await clock.advance(3 * TURN_MS)
  assert.equal(opened.limitsOf('acme').maxSamples, 9)
  assert.equal(log.events.filter(({ level }) => level === 'warn').length, 1)
  state.isAway = false
  await clock.advance(TURN_MS)
  assert.equal(opened.limitsOf('acme').maxSamples, 5)
  await opened.stop()
})

test('a row that cannot be read is said and passed over', async () => {
  const { opened, log } = await setUp({ acme: { ofTheFuture: 1 }, other: { maxSamples: 2 } })
  assert.equal(opened.limitsOf('acme').maxSamples, 5)
  assert.equal(opened.limitsOf('other').maxSamples, 2)
  assert.equal(log.events.filter(({ level }) => level === 'error').length, 1)
  await opened.stop()
})
