import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stacksUnder } from '#core/query/call-site.ts'
import { buildFunctionLevel } from '#core/symbols/function-level.ts'
import { StringTable } from '#core/symbols/string-table.ts'
import { symbolsOf } from '../../support/symbols.ts'

const symbols = symbolsOf([
  [],
  ['main'],
  ['work', 'main'],
  ['leaf', 'work', 'main'],
  ['main', 'work', 'main'],
  ['work', 'other', 'main'],
  [['inlined', 'work', 'main']],
  ['main', 'main'],
])
const names = new StringTable()
const stacks = {
  level: buildFunctionLevel(symbols, names),
  stackNode: symbols.stackNode,
  viewName: (name: number) => names.viewBytes(name),
}

for (const [callSite, expected] of [
  [[], [0, 1, 2, 3, 4, 5, 6, 7]],
  [['main'], [1, 2, 3, 4, 5, 6, 7]],
  [
    ['main', 'work'],
    [2, 3, 4, 6],
  ],
  [['main', 'work', 'main'], [4]],
  [['main', 'main'], [7]],
  [['main', 'work', 'inlined'], [6]],
  [['work'], []],
  [['main', 'work', 'leaf', 'deeper'], []],
] as const) {
  test(`stacks under ${JSON.stringify(callSite)}`, () => {
    const under = stacksUnder(stacks, callSite)
    assert.deepEqual(
      [...under.keys()].filter((stack) => under[stack] === 1),
      expected,
    )
  })
}
