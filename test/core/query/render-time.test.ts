import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRenderTime } from '#core/query/render-time.ts'

const NOW_MS = 1_764_000_000_000

for (const [text, expected] of [
  ['0', 0],
  ['1763999400', 1_763_999_400_000],
  ['1763999400000', 1_763_999_400_000],
  ['1763999400000000', 1_763_999_400_000],
  ['1763999400000000000', 1_763_999_400_000],
  ['20240601', 1_717_200_000_000],
  ['1676282400.5', 1_676_282_400_500],
  ['2024-06-01T10:00:00Z', 1_717_236_000_000],
  ['2024-06-01T12:00:00+02:00', 1_717_236_000_000],
  ['now', NOW_MS],
  ['now-1h', NOW_MS - 3_600_000],
  ['now-1d12h', NOW_MS - 129_600_000],
  ['now - 15m', NOW_MS - 900_000],
  ['now+30s', NOW_MS + 30_000],
] as const) {
  test(`${text} is ${expected}`, () => {
    assert.equal(parseRenderTime('from', text, NOW_MS), expected)
  })
}

for (const text of ['yesterday', 'now-', 'now-1x', '12:00', '-5', 'now-1h30', '2024-06-01', '1'.repeat(30)]) {
  test(`${text} is refused by name`, () => {
    assert.throws(() => parseRenderTime('until', text, NOW_MS), { kind: 'invalid_argument', message: /^"until" is / })
  })
}
