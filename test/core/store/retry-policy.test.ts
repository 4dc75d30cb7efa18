import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ErrorKind } from '#core/errors.ts'
import {
  ATTEMPTS_MAX,
  decideRetry,
  type FailedAttempt,
  RetryBudget,
  SLOW_DOWN_REASON,
} from '#core/store/retry-policy.ts'

const HALF = 0.5

function failed(overrides: Partial<FailedAttempt> = {}): FailedAttempt {
  return { kind: 'unavailable', reason: 'store_unavailable', retryAfterMs: undefined, attempt: 1, ...overrides }
}

test('what may pass by itself is retried, a refusal is not', () => {
  const cases: [ErrorKind, string, boolean][] = [
    ['unavailable', 'store_unavailable', true],
    ['unavailable', SLOW_DOWN_REASON, true],
    ['aborted', 'conflict', true],
    ['resource_exhausted', 'x', true],
    ['data_loss', 'body_damaged', true],
    ['data_loss', 'range_past_end', false],
    ['not_found', 'not_found', false],
    ['already_exists', 'already_exists', false],
    ['permission_denied', 'access_denied', false],
    ['invalid_argument', 'invalid_object_key', false],
    ['deadline_exceeded', 'x', false],
    ['canceled', 'canceled', false],
    ['internal', 'store_refused', false],
  ]
  for (const [kind, reason, isRetried] of cases) {
    const decision = decideRetry(failed({ kind, reason }), new RetryBudget(), HALF)
    assert.equal(decision.kind === 'retry', isRetried, `${kind} ${reason}`)
  }
})

test('waits grow by two with jitter, are bounded, and obey Retry-After', () => {
  const wait = (overrides: Partial<FailedAttempt>, random: number) => {
    const decision = decideRetry(failed(overrides), new RetryBudget(), random)
    return decision.kind === 'retry' ? decision.afterMs : undefined
  }
  assert.equal(wait({}, 0), 0)
  assert.equal(wait({}, 0.999), 50)
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6, 7, 9].map((attempt) => wait({ attempt }, HALF)),
    [25, 50, 100, 200, 400, 800, 1000, 1000],
  )
  assert.equal(wait({ retryAfterMs: 3_000 }, HALF), 3_000)
})

test('attempts are bounded; a slow-down is bounded by the deadline alone, a damaged body by three', () => {
  const kindOf = (overrides: Partial<FailedAttempt>) => decideRetry(failed(overrides), new RetryBudget(), HALF).kind
  assert.equal(kindOf({ attempt: ATTEMPTS_MAX - 1 }), 'retry')
  assert.equal(kindOf({ attempt: ATTEMPTS_MAX }), 'give-up')
  assert.equal(kindOf({ attempt: 1_000, reason: SLOW_DOWN_REASON }), 'retry')
  assert.equal(kindOf({ attempt: 2, reason: 'body_damaged' }), 'retry')
  assert.equal(kindOf({ attempt: 3, reason: 'body_damaged' }), 'give-up')
})

test('with the store down retries end: the budget is used up, and successes fill it again', () => {
  const budget = new RetryBudget()
  const ask = (reason = 'x') => decideRetry(failed({ reason }), budget, HALF).kind
  let retries = 0
  while (ask() === 'retry') retries++
  assert.equal(retries, 20)
  assert.equal(ask(), 'give-up')
  assert.equal(ask(SLOW_DOWN_REASON), 'retry', 'a slow-down costs nothing')
  for (let i = 0; i < 11; i++) budget.onSuccess()
  assert.equal(ask(), 'retry')
  assert.equal(ask(), 'give-up')
  for (let i = 0; i < 10_000; i++) budget.onSuccess()
  for (retries = 0; ask() === 'retry'; ) retries++
  assert.equal(retries, 20, 'what is saved up is bounded')
})
