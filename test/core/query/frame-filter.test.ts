import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { CinderError } from '#core/errors.ts'
import {
  compileFrameFilter,
  EXCLUDED_MAX,
  INCLUDED_MAX,
  isEmptyFilter,
  stacksThrough,
} from '#core/query/frame-filter.ts'
import type { FrameFilter } from '#core/rpc/query-backend.ts'
import { buildFunctionLevel } from '#core/symbols/function-level.ts'
import { StringTable } from '#core/symbols/string-table.ts'
import { createRegexCompiler } from '#platform/regex.ts'
import { symbolsOf } from '../../support/symbols.ts'

const regex = createRegexCompiler()
const filterOf = (filter: Partial<FrameFilter>): FrameFilter => ({
  includeNames: [],
  excludeNames: [],
  includeExpressions: [],
  excludeExpressions: [],
  ...filter,
})

/** Which of the stacks, root first, are kept. */
function kept(stacks: readonly (readonly string[])[], filter: Partial<FrameFilter>): number[] {
  const symbols = symbolsOf(stacks.map((stack) => stack.toReversed()))
  const names = new StringTable()
  const level = buildFunctionLevel(symbols, names)
  const named = { level, stackNode: symbols.stackNode, viewName: (name: number) => names.viewBytes(name) }
  const through = stacksThrough(named, compileFrameFilter(filterOf(filter), regex))
  return stacks.flatMap((_, i) => (through[i] === 1 ? [i] : []))
}

const STACKS = [[], ['root', 'a'], ['root', 'a', 'b'], ['root', 'b'], ['root', 'forbidden'], ['root', 'a', 'forbidden']]

test('stacks are kept that meet all that is included and nothing that is excluded', () => {
  const cases: [Partial<FrameFilter>, number[]][] = [
    [{ includeNames: ['a'] }, [1, 2, 5]],
    [{ includeNames: ['a', 'a'] }, [1, 2, 5]],
    [{ includeNames: ['a', 'b'] }, [2]],
    [{ includeNames: ['nobody'] }, []],
    [{ excludeNames: ['forbidden'] }, [1, 2, 3]],
    [{ includeNames: ['a'], excludeNames: ['forbidden'] }, [1, 2]],
    [{ includeExpressions: ['^a$'] }, [1, 2, 5]],
    [{ includeExpressions: ['oo'] }, [1, 2, 3, 4, 5]],
    [{ includeExpressions: ['^a$', 'b$'] }, [2]],
    [{ includeNames: ['a'], includeExpressions: ['^a'] }, [1, 2, 5]],
    [{ excludeExpressions: ['forbid'] }, [1, 2, 3]],
    [{ excludeExpressions: ['^forbid$'] }, [1, 2, 3, 4, 5]],
    [{ includeExpressions: ['(?i)A'], excludeNames: ['b'] }, [1, 5]],
  ]
  for (const [filter, expected] of cases) assert.deepEqual(kept(STACKS, filter), expected, JSON.stringify(filter))
})

test('what cannot be compiled or is too much is refused by name', () => {
  const many = (count: number) => Array.from({ length: count }, (_, i) => `f${i}`)
  const cases: [Partial<FrameFilter>, RegExp][] = [
    [{ includeExpressions: ['['] }, /invalid include function name regex "\["/],
    [{ excludeExpressions: ['a)(b'] }, /invalid exclude function name regex/],
    [{ excludeExpressions: ['(?=a)'] }, /not a valid RE2/],
    [{ includeNames: many(INCLUDED_MAX + 1) }, /32 included functions, at most 31/],
    [{ excludeNames: many(EXCLUDED_MAX), excludeExpressions: ['x'] }, /101 excluded functions, at most 100/],
  ]
  for (const [filter, message] of cases) {
    const isRefused = (error: unknown) =>
      error instanceof CinderError && error.kind === 'invalid_argument' && message.test(error.message)
    assert.throws(() => compileFrameFilter(filterOf(filter), regex), isRefused, JSON.stringify(filter))
  }
  assert.deepEqual(kept([[], many(INCLUDED_MAX)], { includeNames: many(INCLUDED_MAX) }), [1])
  assert.equal(isEmptyFilter(filterOf({})) && isEmptyFilter(undefined), true)
})

test('property: as filtering stack by stack', () => {
  const name = fc.constantFrom('a', 'b', 'ab', 'x.y')
  const expression = fc.constantFrom('^a', 'b$', 'x.y', '.')
  const filter = fc.record({
    includeNames: fc.array(name, { maxLength: 2 }),
    excludeNames: fc.array(name, { maxLength: 1 }),
    includeExpressions: fc.array(expression, { maxLength: 2 }),
    excludeExpressions: fc.array(fc.constantFrom('^ab', 'y$'), { maxLength: 1 }),
  })
  const stack = fc.array(name, { minLength: 1, maxLength: 4 })
  const stacks = fc.uniqueArray(stack, { selector: String, maxLength: 8 }).map((distinct) => [[], ...distinct])
  fc.assert(
    fc.property(stacks, filter, (all, wish) => {
      const met = (stack: readonly string[], expressions: readonly string[]) =>
        expressions.map((text) => stack.some((frame) => new RegExp(text).test(frame)))
      const expected = all.flatMap((stack: readonly string[], i) => {
        const isIn =
          wish.includeNames.every((each) => stack.includes(each)) && met(stack, wish.includeExpressions).every(Boolean)
        const isOut =
          wish.excludeNames.some((each) => stack.includes(each)) || met(stack, wish.excludeExpressions).some(Boolean)
        return stack.length > 0 && isIn && !isOut ? [i] : []
      })
      assert.deepEqual(kept(all, wish), expected)
    }),
    { numRuns: 300 },
  )
})
