import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MS_PER_MINUTE } from '#core/units.ts'
import { type MemorySample, soakVerdict } from './soak-verdict.ts'

const LENGTH_MS = 30 * MS_PER_MINUTE

/** Every ten seconds. */
function sampled(sizeMb: (minute: number, i: number) => number, lengthMs = LENGTH_MS): MemorySample[] {
  return Array.from({ length: lengthMs / 10_000 }, (_, i) => ({
    atMs: i * 10_000,
    sizeBytes: sizeMb((i * 10_000) / MS_PER_MINUTE, i) * 1e6,
  }))
}

const cases: { name: string; sizeMb: (minute: number, i: number) => number; isFlat: boolean }[] = [
  { name: 'constant', sizeMb: () => 400, isFlat: true },
  { name: 'grows while it warms up', sizeMb: (minute) => 150 + 30 * Math.min(10, minute), isFlat: true },
  { name: 'a merge every minute', sizeMb: (_, i) => (i % 6 === 0 ? 900 : 400), isFlat: true },
  { name: 'gives memory back', sizeMb: (minute) => 500 - 5 * minute, isFlat: true },
  { name: 'grows by 1 MB a minute of 400', sizeMb: (minute) => 400 + minute, isFlat: true },
  { name: 'grows by 5 MB a minute of 400', sizeMb: (minute) => 400 + 5 * minute, isFlat: false },
  { name: 'steps up late', sizeMb: (minute) => (minute < 26 ? 400 : 480), isFlat: false },
]

for (const { name, sizeMb, isFlat } of cases) {
  test(`soak: ${name} is ${isFlat ? '' : 'not '}flat`, () => {
    assert.equal(soakVerdict(sampled(sizeMb), LENGTH_MS).isFlat, isFlat)
  })
}

test('a shorter run warms up for a third; one too short to tell says so', () => {
  const lengthMs = 6 * MS_PER_MINUTE
  const { warmUpMs, growth } = soakVerdict(
    sampled((minute) => 100 + minute, lengthMs),
    lengthMs,
  )
  assert.equal(warmUpMs, 2 * MS_PER_MINUTE)
  assert.ok(growth > 1.02 && growth < 1.04, String(growth))
  assert.throws(
    () =>
      soakVerdict(
        sampled(() => 1, 60_000),
        60_000,
      ),
    /1 samples of a quarter; 3 are needed/,
  )
})
