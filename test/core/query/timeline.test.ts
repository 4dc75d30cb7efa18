import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildTimeline, cutTimelineRange, timelineRange } from '#core/query/timeline.ts'
import { MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE } from '#core/units.ts'

const START_MS = 1_764_000_000_000

for (const [rangeMs, stepMs] of [
  [0, 15_000],
  [5 * MS_PER_MINUTE, 15_000],
  [6 * MS_PER_HOUR, 15_000],
  [8 * MS_PER_HOUR, 20_000],
  [12 * MS_PER_HOUR, 30_000],
  [MS_PER_DAY, MS_PER_MINUTE],
  [7 * MS_PER_DAY, 5 * MS_PER_MINUTE],
  [30 * MS_PER_DAY, 30 * MS_PER_MINUTE],
  [200_000 * MS_PER_DAY, 365 * MS_PER_DAY],
] as const) {
  test(`a range of ${rangeMs} ms has steps of ${stepMs} ms`, () => {
    assert.equal(timelineRange(START_MS, START_MS + rangeMs).stepMs, stepMs)
  })
}

test('both ends snap down to the step', () => {
  assert.deepEqual(timelineRange(START_MS + 14_999, START_MS + 60_001), {
    startMs: START_MS,
    endMs: START_MS + 60_000,
    stepMs: 15_000,
  })
})

test('a range that is cut keeps its steps', () => {
  const range = { startMs: START_MS, endMs: START_MS + 60_000, stepMs: 15_000 }
  for (const [fromMs, skippedMs] of [
    [-1, 0],
    [0, 0],
    [1, 15_000],
    [30_000, 30_000],
  ] as const) {
    assert.deepEqual(cutTimelineRange(range, START_MS + fromMs), { ...range, startMs: START_MS + skippedMs })
  }
})

test('samples are whole, gaps are zero, the end has no sample', () => {
  const range = { startMs: START_MS, endMs: START_MS + 60_000, stepMs: 15_000 }
  const points = [
    { timestampMs: START_MS, value: 2.9 },
    { timestampMs: START_MS + 45_000, value: 7 },
    { timestampMs: START_MS + 60_000, value: 9 },
  ]
  assert.deepEqual(buildTimeline(range, points), {
    startTime: START_MS / 1000,
    samples: [2, 0, 0, 7],
    durationDelta: 15,
  })
  assert.deepEqual(buildTimeline({ ...range, endMs: START_MS }, points).samples, [])
})
