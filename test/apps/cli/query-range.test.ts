import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseTime } from '../../../apps/cli/query-range.ts'
import { NOW_MS } from './cli-support.ts'

const HOUR = 3_600_000

test('times that are read', () => {
  const cases: [string, number][] = [
    ['now', NOW_MS],
    ['now-1h', NOW_MS - HOUR],
    ['-1h', NOW_MS - HOUR],
    ['now-1d12h', NOW_MS - 36 * HOUR],
    ['now+90s', NOW_MS + 90_000],
    ['now-250ms', NOW_MS - 250],
    ['now-2m', NOW_MS - 120_000],
    ['2026-11-21T13:00:00Z', NOW_MS],
    ['2026-11-21T14:00:00+01:00', NOW_MS],
    ['2026-11-21 13:00', NOW_MS],
    ['2026-11-21', NOW_MS - 13 * HOUR],
    [String(NOW_MS / 1000), NOW_MS],
    [String(NOW_MS), NOW_MS],
    [`${NOW_MS}000`, NOW_MS],
    [`${NOW_MS}000000`, NOW_MS],
  ]
  for (const [text, timeMs] of cases) assert.equal(parseTime('from', text, NOW_MS), timeMs, text)
})

test('times that are not', () => {
  for (const text of ['', 'yesterday', 'now-', 'now-1', 'now-1y', '1h', '2026-13-01', '12:00', '1e9', '-', 'nownow'])
    assert.throws(() => parseTime('from', text, NOW_MS), /flag --from is .*; allowed: now, /, text)
})
