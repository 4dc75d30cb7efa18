/** What becomes of failed calls, and which backends are passed over. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  BackendHealth,
  CALL_ATTEMPTS_MAX,
  decideCall,
  type FailedCall,
  isBackendsFault,
} from '#core/query/plan-attempts.ts'
import { RetryBudget } from '#core/store/retry-policy.ts'

const FAILED: FailedCall = { kind: 'unavailable', retryAfterMs: undefined, attempt: 1, hasOther: true }

test('only what another try may mend is tried again, elsewhere at once, else after a wait', () => {
  const decide = (more: Partial<FailedCall>, random = 0.5) =>
    decideCall({ ...FAILED, ...more }, new RetryBudget(), random)
  assert.deepEqual(decide({}), { kind: 'retry', afterMs: 0 })
  assert.deepEqual(decide({ kind: 'deadline_exceeded' }), { kind: 'retry', afterMs: 0 })
  assert.deepEqual(decide({ hasOther: false }), { kind: 'retry', afterMs: 150 })
  assert.deepEqual(decide({ hasOther: false, attempt: 2 }, 0), { kind: 'retry', afterMs: 200 })
  assert.deepEqual(decide({ hasOther: false, kind: 'deadline_exceeded' }), { kind: 'give-up' })
  assert.deepEqual(decide({ attempt: CALL_ATTEMPTS_MAX }), { kind: 'give-up' })
  // Full, and says for how long: elsewhere there may be room. A limit of the query itself says no time.
  assert.deepEqual(decide({ kind: 'resource_exhausted', retryAfterMs: 5_000 }), { kind: 'retry', afterMs: 0 })
  const full = { kind: 'resource_exhausted', hasOther: false } as const
  assert.deepEqual(decide({ ...full, retryAfterMs: 900 }), { kind: 'retry', afterMs: 900 })
  assert.deepEqual(decide({ ...full, retryAfterMs: 60_000 }), { kind: 'retry', afterMs: 2_000 })
  assert.deepEqual(decide({ kind: 'resource_exhausted' }), { kind: 'give-up' })
  for (const kind of ['not_found', 'data_loss', 'invalid_argument', 'canceled', 'internal'] as const) {
    assert.deepEqual(decide({ kind }), { kind: 'give-up' }, kind)
    assert.equal(isBackendsFault(kind), false)
  }
})

test('retries have a budget: with everything down, calls fail after their first try', () => {
  const budget = new RetryBudget()
  let retries = 0
  for (let i = 0; i < 100; i++) if (decideCall(FAILED, budget, 0).kind === 'retry') retries++
  assert.equal(retries, 20)
})

test('a backend without answers rests ever longer, is tried by one call, and is back with its first answer', () => {
  const health = new BackendHealth(3)
  const ranked = [1, 0, 2]
  assert.deepEqual(health.order(ranked, 0), [1, 0, 2])
  health.onFailure(1, 0)
  assert.deepEqual(health.order(ranked, 999), [0, 2, 1])
  assert.deepEqual(health.order(ranked, 1_000), [1, 0, 2], 'the probe')
  assert.deepEqual(health.order(ranked, 1_001), [0, 2, 1], 'others pass by meanwhile')
  health.onFailure(1, 1_500)
  assert.deepEqual(health.order(ranked, 3_499), [0, 2, 1])
  assert.deepEqual(health.order(ranked, 3_500), [1, 0, 2])
  health.onAnswer(1)
  assert.deepEqual(health.order(ranked, 3_501), [1, 0, 2])
  for (let i = 0; i < 40; i++) health.onFailure(1, 10_000)
  assert.deepEqual(health.order(ranked, 39_999), [0, 2, 1])
  assert.deepEqual(health.order(ranked, 40_000), [1, 0, 2], 'half a minute at most')
  for (const backend of ranked) health.onFailure(backend, 50_000)
  assert.deepEqual(health.order(ranked, 50_001), ranked, 'when all rest, all are asked')
})

test('one that is overtaken three times in a row rests too', () => {
  const health = new BackendHealth(2)
  health.onOvertaken(0, 0)
  health.onOvertaken(0, 0)
  health.onAnswer(0)
  health.onOvertaken(0, 0)
  health.onOvertaken(0, 0)
  assert.deepEqual(health.order([0, 1], 1), [0, 1])
  health.onOvertaken(0, 0)
  assert.deepEqual(health.order([0, 1], 1), [1, 0])
})
