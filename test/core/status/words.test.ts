import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatAge, formatCount, formatInstant, formatSize, formatWhen } from '#core/status/words.ts'

test('ages have two units at most and never more than they know', () => {
  for (const [durationMs, words] of [
    [-5, '0.0 s'],
    [0, '0.0 s'],
    [1_449, '1.4 s'],
    [9_999, '9.9 s'],
    [10_000, '10 s'],
    [59_999, '59 s'],
    [60_000, '1 min'],
    [200_000, '3 min 20 s'],
    [3_600_000, '1 h'],
    [90_000_000, '1 d 1 h'],
    [86_400_000 * 31, '31 d'],
  ] as const) {
    assert.equal(formatAge(durationMs), words)
  }
})

test('sizes, counts, instants', () => {
  assert.equal(formatSize(0), '0 B')
  assert.equal(formatSize(1_023), '1023 B')
  assert.equal(formatSize(1_536), '1.50 KiB')
  assert.equal(formatSize(340 * 1024 ** 3), '340 GiB')
  assert.equal(formatSize(1024 ** 6 * 3), '3072 PiB')
  assert.equal(formatCount(1_234_567), '1,234,567')
  assert.equal(formatInstant(0), '')
  assert.equal(formatInstant(Date.UTC(2026, 10, 21, 3, 4, 5, 678)), '2026-11-21 03:04:05Z')
  assert.equal(formatWhen(0, 5), '')
  assert.equal(formatWhen(1_000, 31_000), '30 s ago')
  assert.equal(formatWhen(61_000, 1_000), 'in 1 min')
})
