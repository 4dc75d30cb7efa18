/** Levels back to a tree: the inverse of core's layout, and refusal of what does not fit together. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { buildFlameGraph } from '#core/flamegraph/flamegraph.ts'
import { FunctionTree } from '#core/flamegraph/tree.ts'
import { type FlameNode, flameTreeOf, type WireFlameGraph } from '../../../apps/cli/flame-graph.ts'

type Stacks = readonly { readonly stack: readonly string[]; readonly value: bigint }[]

/** As a server sends it. */
function wireOf(stacks: Stacks): WireFlameGraph {
  const tree = new FunctionTree()
  for (const { stack, value } of stacks) {
    let node = 0
    for (const name of stack) node = tree.child(node, tree.internText(name))
    tree.addSelf(node, Number(value & 0xffffffffn), Number(value >> 32n))
  }
  const { names, levels } = buildFlameGraph(tree, 1 << 20)
  return { names, levels: levels.map((values) => ({ values: values.map(String) })) }
}

/** Root-first stacks with their self values, from either side. */
function selvesOfTree(node: FlameNode, path: readonly string[], into: Map<string, bigint>): Map<string, bigint> {
  if (path.length > 0 && node.self > 0n) into.set(path.join('/'), node.self)
  for (const child of node.children) selvesOfTree(child, [...path, child.name], into)
  return into
}

test('levels become the tree they came from, for any tree and any int64', () => {
  const stacks = fc.array(
    fc.record({
      stack: fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1, maxLength: 6 }),
      value: fc.bigInt({ min: 1n, max: 2n ** 57n }),
    }),
    { minLength: 1, maxLength: 30 },
  )
  fc.assert(
    fc.property(stacks, (drawn) => {
      const expected = new Map<string, bigint>()
      for (const { stack, value } of drawn) {
        const key = stack.join('/')
        expected.set(key, (expected.get(key) ?? 0n) + value)
      }
      const root = flameTreeOf(wireOf(drawn))!
      const sorted = (map: Map<string, bigint>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1))
      assert.deepEqual(sorted(selvesOfTree(root, [], new Map())), sorted(expected))
      assert.equal(
        root.total,
        drawn.reduce((sum, { value }) => sum + value, 0n),
      )
    }),
  )
})

test('offsets are distances: a gap left by self time shifts the children', () => {
  const root = flameTreeOf({
    names: ['total', 'a', 'b', 'c'],
    levels: [
      { values: ['0', '10', '0', '0'] },
      { values: ['0', '4', '1', '1', '0', '6', '2', '2'] },
      // a's child begins at 1; b spans [4, 10) and its child begins at 6.
      { values: ['1', '3', '3', '3', '2', '4', '4', '3'] },
    ],
  })!
  assert.deepEqual(
    root.children.map(({ name, children }) => [name, children.map((child) => [child.name, child.total])]),
    [
      ['a', [['c', 3n]]],
      ['b', [['c', 4n]]],
    ],
  )
})

test('nothing is nothing', () => {
  assert.equal(flameTreeOf({}), undefined)
  assert.equal(flameTreeOf({ names: ['total'], levels: [{ values: ['0', '0', '0', '0'] }] }), undefined)
})

test('an answer that makes no sense is refused', () => {
  const root = { values: ['0', '10', '0', '0'] }
  const names = ['total', 'a']
  const cases: [WireFlameGraph, RegExp][] = [
    [{ names, levels: [{ values: ['0', '1', '2'] }] }, /level 0 has 3 numbers/],
    [{ names, levels: [{ values: [] }] }, /level 0 has 0 nodes/],
    [{ names, levels: [{ values: ['0', '10', '0', '7'] }] }, /names string 7 of 2/],
    [{ names, levels: [{ values: ['0', 'ten', '0', '0'] }] }, /holds "ten"/],
    [{ names, levels: [{ values: ['0', '-1', '0', '0'] }] }, /negative/],
    [{ names, levels: [root, { values: ['0', '11', '0', '1'] }] }, /lies under none of level 0/],
    [{ names, levels: [root, { values: ['12', '1', '0', '1'] }] }, /lies under none of level 0/],
    [{ names, levels: [root, { values: [] }, { values: ['0', '1', '0', '1'] }] }, /lies under none of level 1/],
  ]
  for (const [graph, message] of cases) assert.throws(() => flameTreeOf(graph), message)
})
