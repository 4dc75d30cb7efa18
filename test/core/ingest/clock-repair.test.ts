import assert from 'node:assert/strict'
import { test } from 'node:test'
import { repairedTimeNanos } from '#core/ingest/clock-repair.ts'

const NOW_MS = 1_764_000_000_000
const NOW = BigInt(NOW_MS) * 1_000_000n
const HOUR = 3_600_000_000_000n

test('a clock of 1970 is that of the arrival, one that is ahead is believed, refused or clamped (H3)', () => {
  const rules = { nowMs: NOW_MS, rejectNewerThanMs: 600_000, clockAhead: 'reject' } as const
  const clamp = { ...rules, clockAhead: 'clamp' } as const
  const cases: [timeNanos: bigint, of: typeof rules | typeof clamp, stored: bigint][] = [
    [397_000_000n, rules, NOW],
    [1n, rules, NOW],
    [365n * 24n * HOUR - 1n, rules, NOW],
    [365n * 24n * HOUR, rules, 365n * 24n * HOUR],
    [0n, rules, 0n],
    [-5n, rules, -5n],
    [NOW - HOUR, rules, NOW - HOUR],
    [NOW + 72n * HOUR, rules, NOW + 72n * HOUR],
    [NOW + 72n * HOUR, clamp, NOW],
    [NOW + 600_000_000_000n, clamp, NOW + 600_000_000_000n],
    [NOW - 72n * HOUR, clamp, NOW - 72n * HOUR],
  ]
  for (const [timeNanos, of, stored] of cases) assert.equal(repairedTimeNanos(timeNanos, of), stored, String(timeNanos))
  const off = { ...clamp, rejectNewerThanMs: 0 }
  assert.equal(repairedTimeNanos(NOW + 72n * HOUR, off), NOW + 72n * HOUR, 'without a limit nothing is ahead of it')
})
