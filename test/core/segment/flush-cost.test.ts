import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FlushCost } from '#core/segment/flush-cost.ts'

function costOf(durationsMs: readonly number[]): number {
  const cost = new FlushCost()
  for (const each of durationsMs) cost.note(each, { isStored: true })
  return cost.costMs
}

const cases: { name: string; durationsMs: number[]; expected: number }[] = [
  { name: 'none yet', durationsMs: [], expected: 0 },
  { name: 'the first one counts at once', durationsMs: [120], expected: 120 },
  { name: 'a hiccup among quick ones does not count', durationsMs: [6, 7, 40, 6, 300], expected: 6 },
  { name: 'seven slow ones may be chance', durationsMs: [6, ...Array<number>(7).fill(80)], expected: 6 },
  { name: 'eight slow ones are a slow store', durationsMs: [6, ...Array<number>(8).fill(80)], expected: 80 },
  { name: 'one quick one says that it is over', durationsMs: [...Array<number>(20).fill(80), 5], expected: 5 },
  { name: 'a clock that was set back says nothing', durationsMs: [9, -3_600_000], expected: 9 },
]

for (const { name, durationsMs, expected } of cases) {
  test(`flush cost: ${name}`, () => {
    assert.equal(costOf(durationsMs), expected)
  })
}

test('flush cost: one that stored nothing never makes flushes look cheaper, and may make them look dearer', () => {
  const cost = new FlushCost()
  // Every profile of it was bad, or the store refused at once.
  cost.note(1, { isStored: false })
  assert.equal(cost.costMs, 0)
  cost.note(200, { isStored: true })
  assert.equal(cost.costMs, 200)
  for (let i = 0; i < 20; i++) cost.note(1, { isStored: false })
  assert.equal(cost.costMs, 200)
  // A store that times out.
  for (let i = 0; i < 8; i++) cost.note(8_000, { isStored: false })
  assert.equal(cost.costMs, 8_000)
})
