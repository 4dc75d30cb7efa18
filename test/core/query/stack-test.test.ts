import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileStackTest, type StackSelector } from '#core/query/stack-test.ts'
import { buildFunctionLevel } from '#core/symbols/function-level.ts'
import { StringTable } from '#core/symbols/string-table.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import { symbolsOf } from '../../support/symbols.ts'

const NO_FILTER = { includeNames: [], excludeNames: [], includeExpressions: [], excludeExpressions: [] }
const STACKS = [[], ['root', 'a'], ['root', 'a', 'b'], ['root', 'b'], ['a', 'b']]

test('call sites and frame filters are asked for together; nothing to ask for is no test', () => {
  const symbols = symbolsOf(STACKS.map((stack) => stack.toReversed()))
  const names = new StringTable()
  const level = buildFunctionLevel(symbols, names)
  const named = { level, stackNode: symbols.stackNode, viewName: (name: number) => names.viewBytes(name) }
  const kept = (selector: StackSelector) => {
    const meant = compileStackTest(selector, createRegexCompiler())!(named)
    return STACKS.flatMap((_, i) => (meant[i] === 1 ? [i] : []))
  }
  assert.deepEqual(kept({ callSite: ['root', 'a'] }), [1, 2])
  assert.deepEqual(kept({ frames: { ...NO_FILTER, includeNames: ['b'] } }), [2, 3, 4])
  assert.deepEqual(kept({ callSite: ['root'], frames: { ...NO_FILTER, includeNames: ['b'] } }), [2, 3])
  for (const selector of [undefined, {}, { callSite: [], frames: NO_FILTER }]) {
    assert.equal(compileStackTest(selector, createRegexCompiler()), undefined)
  }
})
