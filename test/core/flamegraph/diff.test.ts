import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { cutTree } from '#core/flamegraph/cut.ts'
import { cutPair, flameGraphDiffOf, type FlameGraphDiff } from '#core/flamegraph/diff.ts'
import { flameGraphOf } from '#core/flamegraph/flamegraph.ts'
import { FunctionTree } from '#core/flamegraph/tree.ts'
import { type Stack, treeOf } from './stacks.ts'

const UNCUT = 1_000_000

/** total and self of both sides by path. A node is placed by where it lies, on the side where it has a width. */
function nodesOf({ names, levels }: FlameGraphDiff): Record<string, string> {
  const found: Record<string, string> = {}
  let above: { path: string; starts: [bigint, bigint]; ends: [bigint, bigint] }[] = []
  for (const level of levels) {
    const row: typeof above = []
    const at: [bigint, bigint] = [0n, 0n]
    for (let i = 0; i < level.length; i += 7) {
      const starts: [bigint, bigint] = [at[0] + level[i]!, at[1] + level[i + 3]!]
      const totals = [level[i + 1]!, level[i + 4]!] as const
      const ends: [bigint, bigint] = [starts[0] + totals[0], starts[1] + totals[1]]
      const parent = above.find((each) =>
        [0, 1].every((side) => starts[side]! >= each.starts[side]! && ends[side]! <= each.ends[side]!),
      )
      const path = above.length === 0 ? '' : `${parent!.path};${names[Number(level[i + 6])]}`
      found[path] = `${totals[0]} ${level[i + 2]} | ${totals[1]} ${level[i + 5]}`
      row.push({ path, starts, ends })
      at[0] = ends[0]
      at[1] = ends[1]
    }
    above = row
  }
  return found
}

const diffOf = (left: readonly Stack[], right: readonly Stack[], maxNodes = UNCUT): FlameGraphDiff =>
  flameGraphDiffOf(cutPair(treeOf(left), treeOf(right), maxNodes))

test('nodes are aligned by path, whichever side has them', () => {
  const left: Stack[] = [
    ['main;a', 3n],
    ['main;b', 4n],
  ]
  const right: Stack[] = [
    ['main;b', 10n],
    ['main;c', 1n],
  ]
  const diff = diffOf(left, right)
  assert.deepEqual(nodesOf(diff), {
    '': '7 0 | 11 0',
    ';main': '7 0 | 11 0',
    ';main;a': '3 3 | 0 0',
    ';main;b': '4 4 | 10 10',
    ';main;c': '0 0 | 1 1',
  })
  assert.deepEqual([diff.total, diff.leftTicks, diff.rightTicks, diff.maxSelf], [18n, 7n, 11n, 10n])
  assert.equal(diff.names[0], 'total')
})

test('no data on either side is one node of zeros', () => {
  const diff = diffOf([], [])
  assert.deepEqual(diff.levels, [[0n, 0n, 0n, 0n, 0n, 0n, 0n]])
  assert.deepEqual(diff.names, ['total'])
  assert.equal(diff.total, 0n)
})

test('a node stays if either side is large; the rest is folded per side, once', () => {
  const left: Stack[] = [
    ['main;big-left', 100n],
    ['main;tiny', 1n],
    ['main;other', 2n],
  ]
  const right: Stack[] = [
    ['main;big-right', 50n],
    ['main;tiny', 3n],
  ]
  assert.deepEqual(nodesOf(diffOf(left, right, 3)), {
    '': '103 0 | 53 0',
    ';main': '103 0 | 53 0',
    ';main;big-left': '100 100 | 0 0',
    ';main;big-right': '0 0 | 50 50',
    ';main;other': '3 3 | 3 3',
  })
})

test('each side is the flame graph of its tree; swapping sides swaps the numbers', () => {
  const path = fc.array(fc.constantFrom('a', 'b', 'c', 'total', 'other'), { minLength: 1, maxLength: 5 })
  const small = fc.array(
    fc.tuple(path, fc.bigInt(0n, 2n ** 40n)).map(([frames, value]): Stack => [frames.join(';'), value]),
    { maxLength: 25 },
  )
  fc.assert(
    fc.property(small, small, fc.integer({ min: 1, max: 30 }), (left, right, maxNodes) => {
      const alone = diffOf(left, left)
      const graph = flameGraphOf(cutTree(treeOf(left), UNCUT))
      assert.deepEqual(
        alone.levels.map((level) => level.filter((_, i) => i % 7 < 3 || i % 7 === 6)),
        graph.levels,
      )
      assert.deepEqual(
        alone.levels.map((level) => level.filter((_, i) => i % 7 >= 3)),
        graph.levels,
      )
      const there = diffOf(left, right, maxNodes)
      const back = diffOf(right, left, maxNodes)
      assert.equal(there.total, back.total)
      const swapped = Object.entries(nodesOf(back)).map(([path, text]) => [
        path,
        text.split(' | ').reverse().join(' | '),
      ])
      // Nodes without any width on one side may lie in several parents at once: only paths of width tell.
      assert.equal(swapped.length, Object.keys(nodesOf(there)).length)
      assert.equal(there.leftTicks, back.rightTicks)
      const sumOfSelf = (side: number): bigint =>
        there.levels.flat().reduce((sum, value, i) => (i % 7 === side ? sum + value : sum), 0n)
      assert.equal(sumOfSelf(2), there.leftTicks)
      assert.equal(sumOfSelf(5), there.rightTicks)
    }),
  )
})

test('the trees are not changed', () => {
  const left = treeOf([['main;a', 3n]])
  const right = treeOf([['main;b', 4n]])
  cutPair(left, right, 1)
  assert.equal(left.nodeCount, 3)
  assert.equal(new FunctionTree().nodeCount, 1)
  assert.deepEqual([...right.self.lo.subarray(0, 3)], [0, 0, 4])
})
