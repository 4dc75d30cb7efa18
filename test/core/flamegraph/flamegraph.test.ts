import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { cutTree } from '#core/flamegraph/cut.ts'
import { buildFlameGraph, type FlameGraph } from '#core/flamegraph/flamegraph.ts'
import { FunctionTree } from '#core/flamegraph/tree.ts'
import { byPath, type Stack, sorted, treeOf } from './stacks.ts'

const UNCUT = 1_048_576

const path = fc.array(fc.constantFrom('a', 'b', 'c', 'total', 'other', 'é'), { minLength: 1, maxLength: 5 })
const self = fc.oneof(fc.bigInt(1n, 20n), fc.bigInt(0n, 2n ** 56n))
const stacks = fc.array(
  fc.tuple(path, self).map(([frames, value]): Stack => [frames.join(';'), value]),
  { maxLength: 25 },
)

interface Drawn {
  readonly path: string
  readonly start: bigint
  readonly total: bigint
  readonly self: bigint
  filled: bigint
}

/** Reads levels as a client does: by x alone. Fails unless nodes fill their parents from the left, in order. */
function readBack(graph: FlameGraph): Map<string, bigint> {
  const found = new Map<string, bigint>()
  let parents: Drawn[] = []
  graph.levels.forEach((values, level) => {
    assert.equal(values.length % 4, 0)
    const drawn: Drawn[] = []
    let end = 0n
    for (let i = 0; i < values.length; i += 4) {
      const start = end + values[i]!
      end = start + values[i + 1]!
      const name = graph.names[Number(values[i + 3]!)]!
      const parent = parents.find(
        (each) => start >= each.start && end <= each.start + each.total && each.filled === start,
      )
      if (level === 0) assert.deepEqual([start, name], [0n, 'total'])
      else assert.ok(parent !== undefined, `level ${level}, ${name} at ${start}`)
      if (parent !== undefined) parent.filled = end
      const at = parent === undefined || parent.path === '' ? (level === 0 ? '' : name) : `${parent.path};${name}`
      const node = { path: at, start, total: values[i + 1]!, self: values[i + 2]!, filled: start + values[i + 2]! }
      drawn.push(node)
      if (level > 0) found.set(at, node.self)
    }
    for (const parent of parents) assert.ok(parent.filled <= parent.start + parent.total)
    parents = drawn
  })
  return found
}

describe('buildFlameGraph', () => {
  it('draws recursion and a function named other as recorded', () => {
    const tree = treeOf([
      ['main;f;f;f', 10n],
      ['main;f', 20n],
      ['main;other', 5n],
    ])
    assert.deepEqual(buildFlameGraph(tree, UNCUT), {
      names: ['total', 'main', 'other', 'f'],
      levels: [
        [0n, 35n, 0n, 0n],
        [0n, 35n, 0n, 1n],
        [0n, 30n, 20n, 3n, 0n, 5n, 5n, 2n],
        [20n, 10n, 0n, 3n],
        [20n, 10n, 10n, 3n],
      ],
      total: 35n,
      maxSelf: 20n,
    })
  })

  it('draws siblings in byte order with delta offsets as recorded', () => {
    const tree = treeOf([
      ['main;work1;leaf2', 6080n],
      ['main;leaf2', 4000n],
      ['main;work1;leaf0', 5760n],
      ['main;work1;leaf1', 5440n],
      ['main;leaf0', 1000n],
      ['main;work0;leaf2', 5600n],
      ['main;leaf1', 2000n],
      ['main;work0;leaf0', 5280n],
      ['main;work0;leaf1', 5920n],
    ])
    const { names, levels, total, maxSelf } = buildFlameGraph(tree, 16)
    assert.deepEqual(names, ['total', 'main', 'work1', 'leaf2', 'leaf1', 'leaf0', 'work0'])
    assert.deepEqual(
      levels.map((values) => values.map(Number)),
      [
        [0, 41_080, 0, 0],
        [0, 41_080, 0, 1],
        [0, 1000, 1000, 5, 0, 2000, 2000, 4, 0, 4000, 4000, 3, 0, 16_800, 0, 6, 0, 17_280, 0, 2],
        [7000, 5280, 5280, 5, 0, 5920, 5920, 4, 0, 5600, 5600, 3, 0, 5760, 5760, 5, 0, 5440, 5440, 4, 0, 6080, 6080, 3],
      ],
    )
    assert.deepEqual([total, maxSelf], [41_080n, 6080n])
  })

  it('draws a cut with other last', () => {
    const { names, levels } = buildFlameGraph(
      treeOf([
        ['main;a', 1n],
        ['main;z', 5n],
        ['main;p', 1n],
      ]),
      2,
    )
    assert.deepEqual(names, ['total', 'main', 'other', 'z'])
    assert.deepEqual(levels[2], [0n, 5n, 5n, 3n, 0n, 2n, 2n, 2n])
  })

  it('draws an empty tree as one empty node', () => {
    assert.deepEqual(buildFlameGraph(new FunctionTree(), 1), {
      names: ['total'],
      levels: [[0n, 0n, 0n, 0n]],
      total: 0n,
      maxSelf: 0n,
    })
  })

  it('gives a function named total the name of the root', () => {
    const { names, levels } = buildFlameGraph(treeOf([['total', 3n]]), UNCUT)
    assert.deepEqual(names, ['total'])
    assert.deepEqual(levels[1], [0n, 3n, 3n, 0n])
  })

  it('is read back by x alone as the cut tree, exact above 2^53', () => {
    const positive = stacks.map((input) => input.map(([at, value]): Stack => [at, value + 1n]))
    fc.assert(
      fc.property(positive, fc.integer({ min: 1, max: 40 }), (input, maxNodes) => {
        const tree = treeOf(input)
        const graph = buildFlameGraph(tree, maxNodes)
        assert.deepEqual(sorted(readBack(graph)), sorted(byPath(cutTree(tree, maxNodes))))
        const selfs = graph.levels.flatMap((values) => values.filter((_, i) => i % 4 === 2))
        assert.equal(
          graph.maxSelf,
          selfs.reduce((a, b) => (a > b ? a : b), 0n),
        )
        assert.equal(
          graph.total,
          selfs.reduce((a, b) => a + b, 0n),
        )
      }),
    )
  })

  it('draws a stack 10,000 deep', () => {
    const tree = treeOf([[Array.from({ length: 10_000 }, () => 'f').join(';'), 1n]])
    const { levels } = buildFlameGraph(tree, UNCUT)
    assert.equal(levels.length, 10_001)
    assert.deepEqual(levels.at(-1), [0n, 1n, 1n, 1n])
  })
})
