import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FunctionTree } from '#core/flamegraph/tree.ts'
import { StackSums } from '#core/query/stack-sums.ts'
import { buildFunctionLevel } from '#core/symbols/function-level.ts'
import { StringTable } from '#core/symbols/string-table.ts'
import { allocateInt64Column, getBigInt, type Int64Column, setBigInt } from '#core/wire/int64.ts'
import { symbolsOf } from '../../support/symbols.ts'
import { treeStacks } from '../../support/write-path.ts'

function columnOf(values: readonly bigint[]): Int64Column {
  const column = allocateInt64Column(values.length)
  values.forEach((value, i) => setBigInt(column, i, value))
  return column
}

/** Rows (stack, value) over stacks given leaf first, as a map of root-first stacks. */
function sumsOf(stacks: readonly string[][], rows: readonly (readonly [stack: number, value: bigint])[]) {
  const symbols = symbolsOf(stacks)
  const names = new StringTable()
  const level = buildFunctionLevel(symbols, names)
  const sums = new StackSums(symbols.stackCount)
  sums.add(
    Uint32Array.from(rows, ([stack]) => stack),
    columnOf(rows.map(([, value]) => value)),
    0,
    rows.length,
  )
  const tree = new FunctionTree()
  sums.addToTree(tree, { level, stackNode: symbols.stackNode, viewName: (name) => names.viewBytes(name) })
  return { tree, stacks: treeStacks(tree) }
}

test('rows of one stack are summed; parents keep no value of their own', () => {
  const { stacks } = sumsOf(
    [['leaf', 'main'], ['main']],
    [
      [0, 2n],
      [1, 5n],
      [0, 3n],
    ],
  )
  assert.deepEqual(stacks, { 'main;leaf': 5n, main: 5n })
})

test('sums are exact up to the largest int64', () => {
  const { stacks } = sumsOf(
    [['a']],
    [
      [0, 2n ** 62n],
      [0, 2n ** 62n - 1n],
      [0, 0n],
    ],
  )
  assert.deepEqual(stacks, { a: 2n ** 63n - 1n })
})

test('the empty stack and stacks without a value add no node', () => {
  const { tree, stacks } = sumsOf(
    [['a'], [], ['b', 'main'], ['c', 'main']],
    [
      [1, 7n],
      [2, 0n],
      [3, 1n],
    ],
  )
  assert.deepEqual(stacks, { 'main;c': 1n })
  assert.equal(tree.nodeCount, 3)
})

test('only the rows named are added', () => {
  const symbols = symbolsOf([['a'], ['b']])
  const names = new StringTable()
  const level = buildFunctionLevel(symbols, names)
  const sums = new StackSums(2)
  const stackId = Uint32Array.from([0, 1, 0, 1])
  const values = columnOf([1n, 10n, 100n, 1000n])
  sums.add(stackId, values, 1, 3)
  sums.add(stackId, values, 3, 3)
  const tree = new FunctionTree()
  sums.addToTree(tree, { level, stackNode: symbols.stackNode, viewName: (name) => names.viewBytes(name) })
  assert.deepEqual(treeStacks(tree), { a: 100n, b: 10n })
})

test('any rows: the tree holds what a map of stacks holds', () => {
  const stack = fc.array(fc.constantFrom('main', 'f', 'g', 'h'), { maxLength: 5 })
  const stacks = fc.uniqueArray(stack, { selector: (names) => names.join(), minLength: 1, maxLength: 8 })
  const cases = stacks.chain((distinct) =>
    fc.record({
      distinct: fc.constant(distinct),
      rows: fc.array(fc.tuple(fc.nat(distinct.length - 1), fc.bigInt({ min: 0n, max: 2n ** 58n })), { maxLength: 30 }),
    }),
  )
  fc.assert(
    fc.property(cases, ({ distinct, rows }) => {
      const expected = new Map<string, bigint>()
      for (const [id, value] of rows) {
        const path = [...distinct[id]!].reverse().join(';')
        if (path !== '' && value > 0n) expected.set(path, (expected.get(path) ?? 0n) + value)
      }
      const sorted = [...expected].sort(([a], [b]) => (a < b ? -1 : 1))
      assert.deepEqual(Object.entries(sumsOf(distinct, rows).stacks), sorted)
    }),
    { numRuns: 150 },
  )
})

test('residuals are exact past 2^53, and whatever divisors follow each other', () => {
  const sums = new StackSums(3)
  const add = (divisor: number, stack: number, residual: number, rows = 1) => {
    sums.residualsFor(divisor, rows)[stack]! += residual
  }
  add(10_000_000, 0, 0xffffffff)
  add(10_000_000, 0, 0xffffffff)
  add(7, 0, 3)
  add(2 ** 52 - 1, 1, 1)
  add(2 ** 52 - 1, 1, 2 ** 40)
  add(1, 2, 2 ** 51, 1 << 20)
  add(1, 2, 2 ** 51, 1 << 20)
  const expected = [
    2n * 0xffffffffn * 10_000_000n + 21n,
    BigInt.asIntN(64, (2n ** 52n - 1n) * (1n + 2n ** 40n)),
    2n ** 52n,
  ]
  assert.deepEqual(
    expected.map((_, stack) => getBigInt(sums.view(), stack)),
    expected,
  )
})
