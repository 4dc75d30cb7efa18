/** The breaker's table, the times in it, and what counts as a failure of a writer. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CinderError, type ErrorKind, HTTP_STATUS_BY_KIND } from '#core/errors.ts'
import {
  type Breaker,
  type BreakerState,
  type CallOutcome,
  CLOSED_BREAKER,
  FAILURES_MAX,
  onCallEnd,
  onProbe,
  onServing,
  OPEN_BASE_MS,
  OPEN_MAX_MS,
  outcomeOf,
  passageOf,
  PROBE_MAX_MS,
  REST_MAX_MS,
} from '#core/placement/breaker.ts'

const NOW_MS = 1_000_000

function end(breaker: Breaker, outcome: CallOutcome, nowMs = NOW_MS, retryAfterMs?: number): Breaker {
  return onCallEnd(breaker, { outcome, nowMs, random: 0.5, retryAfterMs })
}

function failed(times: number, nowMs = NOW_MS): Breaker {
  let breaker = CLOSED_BREAKER
  for (let i = 0; i < times; i++) breaker = end(breaker, 'no-answer', nowMs)
  return breaker
}

test('three calls in a row without an answer open it, and an answer in between does not', () => {
  assert.equal(FAILURES_MAX, 3)
  assert.equal(passageOf(failed(2), NOW_MS), 'free')
  assert.equal(passageOf(failed(3), NOW_MS), 'shut')
  const spared = end(end(failed(2), 'answered'), 'no-answer')
  assert.deepEqual([spared.state, spared.failures], ['closed', 1])
  assert.equal(end(failed(2), 'given-up').failures, 2, 'what its caller gave up says nothing')
})

const open = failed(3)
const halfOpen = onProbe(open, NOW_MS + OPEN_BASE_MS)
const NEXT: readonly (readonly [Breaker, CallOutcome, BreakerState])[] = [
  [CLOSED_BREAKER, 'answered', 'closed'],
  [CLOSED_BREAKER, 'overloaded', 'closed'],
  [CLOSED_BREAKER, 'no-answer', 'closed'],
  [CLOSED_BREAKER, 'given-up', 'closed'],
  [open, 'answered', 'closed'],
  [open, 'overloaded', 'closed'],
  [open, 'no-answer', 'open'],
  [open, 'given-up', 'open'],
  [halfOpen, 'answered', 'closed'],
  [halfOpen, 'overloaded', 'closed'],
  [halfOpen, 'no-answer', 'open'],
  [halfOpen, 'given-up', 'open'],
]
for (const [breaker, outcome, state] of NEXT) {
  test(`${breaker.state}, ${outcome}: ${state}`, () => {
    const next = end(breaker, outcome, NOW_MS + OPEN_BASE_MS)
    assert.equal(next.state, state)
    if (state === 'closed' && outcome !== 'no-answer') assert.deepEqual([next.failures, next.trips], [0, 0])
  })
}

test('one probe passes when its time has come, others pass by until it ends or is lost', () => {
  assert.equal(passageOf(open, NOW_MS + OPEN_BASE_MS - 1), 'shut')
  assert.equal(passageOf(open, NOW_MS + OPEN_BASE_MS), 'probe')
  assert.equal(passageOf(halfOpen, NOW_MS + OPEN_BASE_MS + 1), 'shut')
  assert.equal(passageOf(halfOpen, NOW_MS + OPEN_BASE_MS + PROBE_MAX_MS), 'probe')
  const released = end(halfOpen, 'given-up', NOW_MS + OPEN_BASE_MS + 5)
  assert.equal(passageOf(released, NOW_MS + OPEN_BASE_MS + 5), 'probe', 'a probe without a word lets another one pass')
  assert.equal(released.trips, open.trips)
})

test('an open breaker stays open twice as long each time, to half a minute, with jitter to either side', () => {
  let breaker = open
  const waits: number[] = []
  let nowMs = NOW_MS
  for (let i = 0; i < 8; i++) {
    waits.push(breaker.untilMs - nowMs)
    nowMs = breaker.untilMs
    breaker = end(onProbe(breaker, nowMs), 'no-answer', nowMs)
  }
  assert.deepEqual(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000])
  const at = (random: number) => onCallEnd(failed(2), { outcome: 'no-answer', nowMs: NOW_MS, random }).untilMs - NOW_MS
  assert.deepEqual([at(0), at(0.5), at(0.999)].map(Math.round), [750, 1_000, 1_250])
  assert.equal(end(onProbe(breaker, nowMs), 'answered', nowMs).trips, 0, 'and begins anew after an answer')
})

test('a writer that asks for time rests so long, but is not shut, and no longer than is believable', () => {
  const resting = end(CLOSED_BREAKER, 'overloaded', NOW_MS, 1_000)
  assert.equal(passageOf(resting, NOW_MS + 999), 'resting')
  assert.equal(passageOf(resting, NOW_MS + 1_000), 'free')
  assert.equal(end(CLOSED_BREAKER, 'overloaded', NOW_MS, 3_600_000).restsUntilMs, NOW_MS + REST_MAX_MS)
  assert.equal(passageOf(end(resting, 'answered'), NOW_MS), 'free')
})

test('news that a writer serves lets one probe pass at once, and forgets nothing', () => {
  const told = onServing(open, NOW_MS + 1)
  assert.equal(passageOf(told, NOW_MS + 1), 'probe')
  assert.deepEqual([told.state, told.trips, told.failures], [open.state, open.trips, open.failures])
  for (const other of [CLOSED_BREAKER, halfOpen]) assert.equal(onServing(other, NOW_MS + 1), other)
  const due = onServing(open, open.untilMs + 5)
  assert.equal(due.untilMs, open.untilMs)
})

test('a clock that is set back shuts nobody out', () => {
  assert.equal(passageOf(open, NOW_MS - 3_600_000), 'probe')
  assert.equal(passageOf(end(CLOSED_BREAKER, 'overloaded', NOW_MS, 1_000), NOW_MS - 3_600_000), 'free')
})

test('whatever happens, a writer that answers again is asked again within the longest wait', () => {
  const step = fc.record({
    outcome: fc.constantFrom<CallOutcome>('answered', 'overloaded', 'no-answer', 'given-up'),
    afterMs: fc.nat(60_000),
    random: fc.double({ min: 0, max: 0.999, noNaN: true }),
  })
  const property = fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    let breaker = CLOSED_BREAKER
    let nowMs = NOW_MS
    for (const { outcome, afterMs, random } of steps) {
      nowMs += afterMs
      if (passageOf(breaker, nowMs) === 'probe') breaker = onProbe(breaker, nowMs)
      breaker = onCallEnd(breaker, { outcome, nowMs, random, retryAfterMs: 1_000 })
    }
    assert.notEqual(passageOf(breaker, nowMs + OPEN_MAX_MS * 1.25), 'shut')
    assert.equal(passageOf(end(breaker, 'answered', nowMs), nowMs), 'free')
  })
  fc.assert(property)
})

test('no answer and too late are failures of the writer; all that it says is not', () => {
  const outcomeOfKind = (kind: ErrorKind, retryAfterMs?: number) =>
    outcomeOf(new CinderError(kind, 'x', retryAfterMs === undefined ? {} : { retryAfterMs }))
  assert.equal(outcomeOfKind('unavailable'), 'no-answer')
  assert.equal(outcomeOfKind('deadline_exceeded'), 'no-answer')
  assert.equal(outcomeOfKind('unavailable', 1_000), 'overloaded')
  assert.equal(outcomeOfKind('canceled'), 'given-up')
  const others = (Object.keys(HTTP_STATUS_BY_KIND) as ErrorKind[]).filter(
    (kind) => !['unavailable', 'deadline_exceeded', 'canceled'].includes(kind),
  )
  assert.equal(others.length, 13)
  for (const kind of others) {
    assert.equal(outcomeOfKind(kind), 'answered', kind)
    assert.equal(outcomeOfKind(kind, 1_000), 'answered', kind)
  }
  assert.equal(outcomeOf(new Error('ours')), 'answered')
})
