import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { durationTextMs } from '#core/limits/limits.ts'
import { formatDuration } from '#core/retention/duration.ts'

const shown: [number, string][] = [
  [0, '0'],
  [31 * 86_400_000, '31d'],
  [12 * 3_600_000, '12h'],
  [36 * 3_600_000, '36h'],
  [90 * 60_000, '90m'],
  [5_000, '5s'],
  [1_500, '1500ms'],
]
for (const [durationMs, text] of shown) {
  test(`${durationMs} ms are ${text}`, () => assert.equal(formatDuration(durationMs), text))
}

test('property: what is shown is read back the same', () => {
  fc.assert(fc.property(fc.nat(), (durationMs) => assert.equal(durationTextMs(formatDuration(durationMs)), durationMs)))
})
