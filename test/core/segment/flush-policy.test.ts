import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  decideFlush,
  FLUSH_POLICY_DEFAULT,
  type FlushDecision,
  type FlushState,
  putAllowedAtMs,
} from '#core/segment/flush-policy.ts'

const policy = FLUSH_POLICY_DEFAULT
const base: FlushState = {
  bytes: 1000,
  profiles: 1,
  oldestArrivalMs: 10_000,
  lastFlushStartedMs: undefined,
  flushCostMs: 0,
  flushesInFlight: 0,
  isTaking: false,
  putAllowedAtMs: 0,
}

const cases: { name: string; state: Partial<FlushState>; nowMs: number; expected: FlushDecision }[] = [
  { name: 'nothing waits', state: { profiles: 0, bytes: 0 }, nowMs: 10_000, expected: { kind: 'idle' } },
  { name: 'first profile lingers', state: {}, nowMs: 10_000, expected: { kind: 'wait', untilMs: 10_003 } },
  { name: 'lingered', state: {}, nowMs: 10_003, expected: { kind: 'flush' } },
  {
    name: 'idle after a long pause: linger only',
    state: { lastFlushStartedMs: 5_000, flushCostMs: 20 },
    nowMs: 10_003,
    expected: { kind: 'flush' },
  },
  {
    name: 'busy: paced by what a flush costs',
    state: { lastFlushStartedMs: 9_980, flushCostMs: 40 },
    nowMs: 10_003,
    expected: { kind: 'wait', untilMs: 10_140 },
  },
  {
    name: 'busy with a dear flush: the interval is bounded',
    state: { lastFlushStartedMs: 9_990, flushCostMs: 4_000 },
    nowMs: 10_100,
    expected: { kind: 'wait', untilMs: 10_490 },
  },
  {
    name: 'the clock was set back an hour: what waits goes at once',
    state: { lastFlushStartedMs: 3_609_000, flushCostMs: 40, oldestArrivalMs: 3_610_000 },
    nowMs: 10_000,
    expected: { kind: 'flush' },
  },
  {
    name: 'the clock was set back an hour: what comes then waits for the largest interval at most',
    state: { lastFlushStartedMs: 3_609_000, flushCostMs: 40 },
    nowMs: 10_000,
    expected: { kind: 'wait', untilMs: 10_500 },
  },
  {
    name: 'lingered, but the rest of a request is on its way',
    state: { isTaking: true },
    nowMs: 10_003,
    expected: { kind: 'wait', untilMs: 10_500 },
  },
  {
    name: 'a request that takes longer than the largest interval is cut',
    state: { isTaking: true },
    nowMs: 10_500,
    expected: { kind: 'flush' },
  },
  {
    name: 'full while a request is taken goes at once',
    state: { isTaking: true, profiles: policy.batchProfilesMax },
    nowMs: 10_001,
    expected: { kind: 'flush' },
  },
  {
    name: 'full by bytes goes at once',
    state: { bytes: policy.batchBytesMax, lastFlushStartedMs: 9_999, flushCostMs: 400 },
    nowMs: 10_000,
    expected: { kind: 'flush' },
  },
  {
    name: 'full by profiles goes at once',
    state: { profiles: policy.batchProfilesMax, lastFlushStartedMs: 9_999, flushCostMs: 400 },
    nowMs: 10_000,
    expected: { kind: 'flush' },
  },
  {
    name: 'full but the PUT budget is spent',
    state: { bytes: policy.batchBytesMax, putAllowedAtMs: 10_200 },
    nowMs: 10_000,
    expected: { kind: 'wait', untilMs: 10_200 },
  },
  {
    name: 'aged but the PUT budget is spent',
    state: { putAllowedAtMs: 10_250 },
    nowMs: 10_010,
    expected: { kind: 'wait', untilMs: 10_250 },
  },
  {
    name: 'all flush slots taken',
    state: { bytes: policy.batchBytesMax, flushesInFlight: policy.flushesInFlightMax },
    nowMs: 20_000,
    expected: { kind: 'idle' },
  },
]

for (const { name, state, nowMs, expected } of cases) {
  test(`flush policy: ${name}`, () => {
    assert.deepEqual(decideFlush({ ...base, ...state }, policy, nowMs), expected)
  })
}

test('no profile waits longer than the largest interval while budget and slots allow', () => {
  for (let lastDurationMs = 0; lastDurationMs < 10_000; lastDurationMs += 77) {
    const decision = decideFlush(
      { ...base, lastFlushStartedMs: base.oldestArrivalMs, flushCostMs: lastDurationMs },
      policy,
      base.oldestArrivalMs + policy.intervalMaxMs,
    )
    assert.equal(decision.kind, 'flush')
  }
})

test('the PUT budget spaces objects evenly; 0 is no budget', () => {
  assert.equal(putAllowedAtMs(1_000, 4, 1_000), 1_250)
  assert.equal(putAllowedAtMs(undefined, 4, 1_000), 0)
  assert.equal(putAllowedAtMs(1_000, 0, 1_000), 0)
  assert.equal(putAllowedAtMs(3_601_000, 4, 1_000), 0, 'the clock was set back an hour since')
})
