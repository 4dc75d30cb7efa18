import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isTurnDue } from '#core/compaction/plan-turn.ts'

const TABLE = [
  { deadEntries: 0, moved: 0, isDue: false },
  { deadEntries: 1_999, moved: 0, isDue: false },
  { deadEntries: 2_000, moved: 0, isDue: true },
  // What moving costs is paid back first.
  { deadEntries: 2_000, moved: 100, isDue: false },
  { deadEntries: 21_999, moved: 100_000, isDue: false },
  { deadEntries: 22_000, moved: 100_000, isDue: true },
]
for (const { isDue, ...facts } of TABLE) {
  test(`${facts.deadEntries} dead entries a claim, ${facts.moved} jobs moved last: ${isDue ? 'turn' : 'stay'}`, () => {
    assert.equal(isTurnDue(facts), isDue)
  })
}
