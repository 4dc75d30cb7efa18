import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatBytes, formatCount, formatInstant, formatPercent, formatQuantity } from '../../../apps/cli/quantity.ts'

test('values in the unit of their type', () => {
  const cases: [number | bigint, string, string][] = [
    [0, 'nanoseconds', '0 ns'],
    [999, 'nanoseconds', '999 ns'],
    [1500, 'nanoseconds', '1.50 µs'],
    [12_345_678n, 'nanoseconds', '12.3 ms'],
    [59_990_000_000n, 'nanoseconds', '60.0 s'],
    [90_000_000_000n, 'nanoseconds', '1.50 min'],
    [7_200_000_000_000n, 'nanoseconds', '2 h'],
    [2n ** 62n, 'nanoseconds', '1281024 h'],
    [1500, 'microseconds', '1.50 ms'],
    [2, 'seconds', '2 s'],
    [1023, 'bytes', '1023 B'],
    [1536, 'bytes', '1.50 KiB'],
    [524_288_000, 'bytes', '500 MiB'],
    [1234567, 'count', '1,234,567'],
    [2n ** 62n, 'count', '4,611,686,018,427,387,904'],
    [-1234, 'count', '-1,234'],
    [3, 'constructor', '3'],
  ]
  for (const [value, unit, text] of cases) assert.equal(formatQuantity(value, unit), text)
})

test('counts, bytes, shares and instants', () => {
  assert.equal(formatCount(1234.567), '1,234.57')
  assert.equal(formatBytes(0), '0 B')
  assert.equal(formatPercent(1, 3), '33.3%')
  assert.equal(formatPercent(1, 0), '0.0%')
  assert.equal(formatInstant(Date.UTC(2026, 10, 21, 13, 0, 0, 250)), '2026-11-21 13:00:00Z')
})
