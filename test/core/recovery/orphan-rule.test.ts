import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isOrphanDue } from '#core/recovery/orphan-rule.ts'
import { MS_PER_DAY, MS_PER_HOUR } from '#core/units.ts'

const NOW = 1_760_000_000_000

test('both ages must pass the grace, and a clock that is wrong makes nothing old (H20, H36)', () => {
  const cases: [name: string, idAgeMs: number, seenAgeMs: number, isDue: boolean][] = [
    ['old by both clocks', 2 * MS_PER_DAY, MS_PER_DAY, true],
    ['seen a moment ago, its writer is two days behind', 2 * MS_PER_DAY, 0, false],
    ['seen an hour short of the grace', 2 * MS_PER_DAY, 23 * MS_PER_HOUR, false],
    ['its writer is ten hours ahead: made after it was seen', 14 * MS_PER_HOUR, MS_PER_DAY, true],
    ['its writer is a year ahead', -365 * MS_PER_DAY, MS_PER_DAY, true],
    ['exactly the grace', MS_PER_DAY, MS_PER_DAY, true],
  ]
  for (const [name, idAgeMs, seenAgeMs, isDue] of cases) {
    assert.equal(isOrphanDue({ idTimeMs: NOW - idAgeMs, firstSeenMs: NOW - seenAgeMs }, NOW), isDue, name)
  }
})

test('the database that searches may have gone back in time: nothing is due by a negative age', () => {
  assert.equal(isOrphanDue({ idTimeMs: NOW + MS_PER_DAY, firstSeenMs: NOW + MS_PER_HOUR }, NOW), false)
})
