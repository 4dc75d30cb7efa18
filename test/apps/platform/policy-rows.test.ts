/** Ingest policies from rows over those of a file. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import type { ListPoliciesRequest, TenantPolicy } from '#core/rpc/tenant-policies.ts'
import { openPolicyRows } from '#platform/policy-rows.ts'
import { createManualClock } from '../../support/manual-clock.ts'
import { createSilentLog } from '../../support/silent-log.ts'

const TURN_MS = 10_000
const KEEP = '{"clockAhead":"clamp"}'

async function setUp(first: Record<string, string>) {
  const clock = createManualClock(1_764_000_000_000)
  const log = createSilentLog()
  const state = { generation: 1, rows: first, isAway: false }
  const policies = {
    async listPolicies({ generation }: ListPoliciesRequest) {
      if (state.isAway) throw new Error('away')
      const changed = generation !== state.generation
      const tenants: TenantPolicy[] = Object.entries(state.rows).map(([tenant, policy]) => ({
        tenant,
        policy,
        version: 1,
        changedAtMs: 0,
      }))
      return { generation: state.generation, changed, tenants: changed ? tenants : [] }
    },
  }
  let isStopped = false
  const inner = {
    limitsOf: () => DEFAULT_LIMITS,
    policyOf: (tenant: string) => (tenant === 'filed' ? '{}' : undefined),
    stop: async () => void (isStopped = true),
  }
  const opened = await openPolicyRows(inner, { clock, log, policies })
  const change = (rows: Record<string, string>) => Object.assign(state, { rows, generation: state.generation + 1 })
  return { clock, log, state, opened, change, stopped: () => isStopped }
}

test('a row stands for the whole policy of its tenant, and the file for the others; a change holds ten seconds later', async () => {
  const { clock, opened, change, stopped } = await setUp({ filed: KEEP })
  assert.deepEqual([opened.policyOf('filed'), opened.policyOf('other')], [KEEP, undefined])
  assert.equal(opened.limitsOf('filed'), DEFAULT_LIMITS)
  change({ filed: '', other: KEEP })
  await clock.advance(TURN_MS)
  assert.deepEqual([opened.policyOf('filed'), opened.policyOf('other')], ['{}', KEEP])
  await opened.stop()
  assert.ok(stopped())
})

test('while the metastore is away the last known policies stay, and it is said once', async () => {
  const { clock, opened, state, log, change } = await setUp({ filed: KEEP })
  state.isAway = true
  change({})
  await clock.advance(3 * TURN_MS)
  assert.equal(opened.policyOf('filed'), KEEP)
  assert.equal(log.events.filter(({ level }) => level === 'warn').length, 1)
  state.isAway = false
  await clock.advance(TURN_MS)
  assert.equal(opened.policyOf('filed'), '{}')
  await opened.stop()
})

test('a row that cannot be read is said and passed over; others hold', async () => {
  const rules = '{"usageGroups":{"g":"{a=~\\"(\\"}"},"sampling":{"g":{"probability":1}}}'
  const { opened, log } = await setUp({ filed: '{"ofTheFuture":1}', other: KEEP, third: rules })
  assert.deepEqual(
    [opened.policyOf('filed'), opened.policyOf('other'), opened.policyOf('third')],
    ['{}', KEEP, undefined],
  )
  assert.equal(log.events.filter(({ level }) => level === 'error').length, 2)
  await opened.stop()
})
