import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  combineTimeRangeLimits,
  formatDuration,
  resolveTimeRange,
  smallestPositive,
  type TimeRange,
} from '#core/query/time-range.ts'
import { MS_PER_DAY, MS_PER_HOUR } from '#core/units.ts'

const NOW = 1_700_000_000_000
const LIMITS = { maxLookbackMs: 7 * MS_PER_DAY, maxLengthMs: MS_PER_DAY }
const OFF = { maxLookbackMs: 0, maxLengthMs: 0 }

function range(startMs: number, endMs: number): TimeRange {
  return { kind: 'range', startMs, endMs }
}

describe('resolveTimeRange', () => {
  const good: [what: string, startMs: number, endMs: number, expected: TimeRange][] = [
    ['a range inside the limits', NOW - 1000, NOW, range(NOW - 1000, NOW)],
    ['one instant', NOW, NOW, range(NOW, NOW)],
    ['exactly the longest', NOW - MS_PER_DAY, NOW, range(NOW - MS_PER_DAY, NOW)],
    ['the future', NOW, NOW + 5000, range(NOW, NOW + 5000)],
    ['wholly before the lookback', 1, 2, { kind: 'empty' }],
    ['ending just before the lookback', 1, NOW - 7 * MS_PER_DAY - 1, { kind: 'empty' }],
    ['ending at the lookback', 1, NOW - 7 * MS_PER_DAY, range(NOW - 7 * MS_PER_DAY, NOW - 7 * MS_PER_DAY)],
    [
      'starting before the lookback, short after the clamp',
      1,
      NOW - 6.5 * MS_PER_DAY,
      range(NOW - 7 * MS_PER_DAY, NOW - 6.5 * MS_PER_DAY),
    ],
  ]
  for (const [what, startMs, endMs, expected] of good) {
    it(`accepts ${what}`, () => {
      assert.deepEqual(resolveTimeRange({ startMs, endMs }, { nowMs: NOW, limits: LIMITS }), expected)
    })
  }

  const bad: [what: string, startMs: number, endMs: number, message: string][] = [
    ['no range', 0, 0, 'missing time range in the query'],
    ['no start', 0, NOW, 'missing time range in the query'],
    ['no end', NOW, 0, 'missing time range in the query'],
    ['start after end', NOW + 1, NOW, 'query start time is after end time'],
    [
      '26 hours',
      NOW - 26 * MS_PER_HOUR,
      NOW,
      'the query time range exceeds the limit (max_query_length, actual: 1d2h, limit: 1d)',
    ],
    [
      'a negative start, which the lookback clamps to 7 days',
      -5,
      NOW,
      'the query time range exceeds the limit (max_query_length, actual: 7d, limit: 1d)',
    ],
  ]
  for (const [what, startMs, endMs, message] of bad) {
    it(`refuses ${what}`, () => {
      assert.throws(() => resolveTimeRange({ startMs, endMs }, { nowMs: NOW, limits: LIMITS }), {
        kind: 'invalid_argument',
        message,
      })
    })
  }

  it('takes a default window only where both ends are missing', () => {
    const context = { nowMs: NOW, limits: LIMITS, defaultWindowMs: MS_PER_HOUR }
    assert.deepEqual(resolveTimeRange({ startMs: 0, endMs: 0 }, context), range(NOW - MS_PER_HOUR, NOW))
    assert.throws(() => resolveTimeRange({ startMs: 0, endMs: NOW }, context), /missing time range/)
    assert.throws(() => resolveTimeRange({ startMs: NOW, endMs: 0 }, context), /missing time range/)
  })

  it('clamps nothing and refuses no length where limits are off', () => {
    assert.deepEqual(resolveTimeRange({ startMs: -5, endMs: NOW }, { nowMs: NOW, limits: OFF }), range(-5, NOW))
  })
})

describe('limits of several tenants', () => {
  it('are the smallest that are set', () => {
    assert.equal(smallestPositive([]), 0)
    assert.equal(smallestPositive([0, 5, 3, 0]), 3)
    assert.deepEqual(combineTimeRangeLimits([OFF, LIMITS, { maxLookbackMs: 1000, maxLengthMs: 0 }]), {
      maxLookbackMs: 1000,
      maxLengthMs: MS_PER_DAY,
    })
  })
})

describe('formatDuration', () => {
  const cases: [durationMs: number, text: string][] = [
    [0, '0s'],
    [5, '0.005s'],
    [61_500, '1m1.5s'],
    [MS_PER_DAY, '1d'],
    [26 * MS_PER_HOUR + 60_000, '1d2h1m'],
  ]
  for (const [durationMs, text] of cases) it(text, () => assert.equal(formatDuration(durationMs), text))
})
