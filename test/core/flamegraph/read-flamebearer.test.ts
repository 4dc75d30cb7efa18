import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { cutTree } from '#core/flamegraph/cut.ts'
import { flameGraphOf } from '#core/flamegraph/flamegraph.ts'
import { readFlamebearer } from '#core/flamegraph/read-flamebearer.ts'
import { FunctionTree } from '#core/flamegraph/tree.ts'
import { treeStacks } from '../../support/write-path.ts'

const METADATA = { format: 'single', name: 'cpu', units: 'nanoseconds' }

function jsonOf(tree: FunctionTree) {
  const { names, levels } = flameGraphOf(cutTree(tree, 100_000))
  return { flamebearer: { names, levels: levels.map((level) => level.map(Number)) }, metadata: METADATA }
}

const stack = fc.array(fc.constantFrom('a', 'b', 'c', 'main'), { minLength: 1, maxLength: 6 })

test('what the render endpoints write is read back, whatever the tree', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(stack, fc.integer({ min: 1, max: 2 ** 45 }))), (stacks) => {
      const tree = new FunctionTree()
      for (const [names, value] of stacks) {
        let node = 0
        for (const name of names) node = tree.child(node, tree.internText(name))
        tree.addSelf(node, value >>> 0, Math.floor(value / 2 ** 32))
      }
      const read = readFlamebearer(jsonOf(tree))
      assert.deepEqual([read?.name, read?.units], ['cpu', 'nanoseconds'])
      assert.deepEqual(treeStacks(read!.tree), treeStacks(tree))
    }),
  )
})

test('what does not add up is no flame graph', () => {
  const names = ['total', 'a']
  const of = (...levels: unknown[]) => ({ flamebearer: { names, levels }, metadata: METADATA })
  const good = of([0, 5, 0, 0], [0, 5, 5, 1])
  assert.deepEqual(treeStacks(readFlamebearer(good)!.tree), { a: 5n })
  const bad: unknown[] = [
    undefined,
    [],
    {},
    { flamebearer: {} },
    { ...good, metadata: { format: 'double' } },
    of('x'),
    of([0, 5, 0]),
    of([0, 5, 0, 0], [0, 6, 6, 1]),
    of([0, 5, 0, 0], [0, 5, 6, 1]),
    of([0, 5, 0, 0], [6, 1, 1, 1]),
    of([0, 5, 0, 0], [0, 5, 5, 2]),
    of([0, 5, 0, 0], [0, -5, 5, 1]),
    of([0, 5, 0, 0], [0, 1.5, 1, 1]),
  ]
  for (const json of bad) assert.equal(readFlamebearer(json), undefined, JSON.stringify(json))
})
