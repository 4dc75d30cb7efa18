import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { StackTable } from '#core/symbols/stack-table.ts'

const stackArbitrary = fc.array(fc.integer({ min: 0, max: 6 }), { maxLength: 8 })

function pathOf(table: StackTable, stackId: number): number[] {
  const path: number[] = []
  for (let node = table.stackNode.array[stackId]!; node !== 0; node = table.nodeParent.array[node]!)
    path.push(table.nodeLocation.array[node]!)
  return path
}

test('equal stacks have one id, ids are dense, paths come back leaf first', () => {
  fc.assert(
    fc.property(fc.array(stackArbitrary, { maxLength: 300 }), (stacks) => {
      const table = new StackTable()
      const expected = new Map<string, number>()
      for (const stack of stacks) {
        const padded = Uint32Array.from([9, ...stack, 9])
        const id = table.internStack(padded, 1, padded.length - 1)
        const key = stack.join()
        if (!expected.has(key)) expected.set(key, expected.size)
        assert.equal(id, expected.get(key))
        assert.deepEqual(pathOf(table, id), stack)
      }
      assert.equal(table.stackCount, expected.size)
    }),
    { numRuns: 100 },
  )
})

test('the tree has one node per distinct path and parents come first', () => {
  fc.assert(
    fc.property(fc.array(stackArbitrary, { maxLength: 200 }), (stacks) => {
      const table = new StackTable()
      const paths = new Set<string>([''])
      for (const stack of stacks) {
        table.internStack(Uint32Array.from(stack), 0, stack.length)
        const rootFirst = stack.toReversed()
        for (let depth = 1; depth <= rootFirst.length; depth++) paths.add(rootFirst.slice(0, depth).join())
      }
      assert.equal(table.nodeCount, paths.size)
      for (let node = 1; node < table.nodeCount; node++) assert.ok(table.nodeParent.array[node]! < node)
    }),
    { numRuns: 100 },
  )
})

test('a stack of 100,000 frames needs no recursion', () => {
  const deep = Uint32Array.from({ length: 100_000 }, (_, i) => i)
  const table = new StackTable()
  assert.equal(table.internStack(deep, 0, deep.length), table.internStack(deep, 0, deep.length))
  assert.equal(table.nodeCount, 100_001)
})
