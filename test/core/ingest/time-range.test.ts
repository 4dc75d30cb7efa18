import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { ingestTimeNanos, parseIngestTime } from '#core/ingest/time-range.ts'

const NOW_MS = 1_800_000_000_123
const NOW = 1_800_000_000_123_000_000n
const HOUR = 3_600_000_000_000n

test('instants by their number of digits', () => {
  const cases: [string, bigint][] = [
    ['1676282400', 1_676_282_400_000_000_000n],
    ['1676282400123', 1_676_282_400_123_000_000n],
    ['1676282400123456', 1_676_282_400_123_456_000n],
    ['1676282400123456789', 1_676_282_400_123_456_789n],
    ['20230213', 1_676_246_400_000_000_000n],
    ['20240229', 1_709_164_800_000_000_000n],
    ['20230229', 20_230_229_000_000_000n],
    ['99999999', 99_999_999_000_000_000n],
    ['0', 0n],
    ['1_676_282_400', 1_676_282_400_000_000_000n],
    [' 1676282400 ', 1_676_282_400_000_000_000n],
    ['1676282400.5', 1_676_282_400_500_000_000n],
    ['2023-02-13T10:00:00Z', 1_676_282_400_000_000_000n],
    ['2023-02-13T10:00:00.123456789Z', 1_676_282_400_123_456_789n],
    ['2023-02-13T12:00:00+02:00', 1_676_282_400_000_000_000n],
  ]
  for (const [text, expected] of cases) assert.equal(parseIngestTime(text, NOW_MS), expected, text)
})

test('a time that int64 does not hold is no time', () => {
  for (const text of ['11111111', '30000101', '0001-01-01T00:00:00Z', '9999-12-31T23:59:59Z', '99999999999999999'])
    assert.equal(parseIngestTime(text, NOW_MS), NOW, text)
  assert.equal(parseIngestTime('16780101', NOW_MS), BigInt(Date.UTC(1678, 0, 1)) * 1_000_000n)
})

test('offsets from now are chains of numbers and units', () => {
  const cases: [string, bigint][] = [
    ['now', 0n],
    ['now-1h', -HOUR],
    ['now+30s', HOUR / 120n],
    ['now-1d12h', -36n * HOUR],
    ['-2m', -HOUR / 30n],
    ['now-1min', -HOUR / 60n],
    ['now-1mon', -720n * HOUR],
    ['now-1M', -720n * HOUR],
    ['now-1w', -168n * HOUR],
    ['now-1y', -8_760n * HOUR],
    ['now - 1 h', -HOUR],
    ['whatever-1h', -HOUR],
    ['now-5parsecs', 0n],
    ['now-', 0n],
  ]
  for (const [text, offset] of cases) assert.equal(parseIngestTime(text, NOW_MS), NOW + offset, text)
})

test('what is no time means now', () => {
  const garbage = [
    undefined,
    '',
    'yesterday',
    '99999999999999999999999',
    'now-999999999999999999y',
    'x'.repeat(100_000),
    '1'.repeat(65),
    '2023.02.13',
    '2023-99-99T99:99:99+99:99',
  ]
  for (const text of garbage) assert.equal(parseIngestTime(text, NOW_MS), NOW, String(text).slice(0, 30))
})

test('property: any text gives some int64, without a throw', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9now+\-hdsMy._ ]*$/)), (text) => {
      const nanos = parseIngestTime(text, NOW_MS)
      assert.equal(BigInt.asIntN(64, nanos), nanos)
    }),
  )
})

test('a time in 1970, or none, becomes the start of the range', () => {
  const from = 1_700_000_000_000_000_000n
  const cases: [bigint, bigint][] = [
    [0n, from],
    [1_676_282_400_000_000n, from],
    [31_535_999_999_999_999n, from],
    [31_536_000_000_000_000n, 31_536_000_000_000_000n],
    [1_676_282_400_000_000_000n, 1_676_282_400_000_000_000n],
    [-1n, -1n],
  ]
  for (const [time, expected] of cases) assert.equal(ingestTimeNanos(time, from), expected, String(time))
})
