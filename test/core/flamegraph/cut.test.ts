import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { cutTree, resolveMaxNodes } from '#core/flamegraph/cut.ts'
import { encodeTree } from '#core/flamegraph/tree.ts'
import { getBigInt } from '#core/wire/int64.ts'
import { byPath, expectedByPath, type Stack, sorted, treeOf } from './stacks.ts'

/** The rule, on maps: totals by path, sort, fold. */
function slowCut(stacks: readonly Stack[], maxNodes: number): Map<string, bigint> {
  const selfs = expectedByPath(stacks)
  const totals = new Map<string, bigint>()
  for (const [path, self] of selfs) {
    const frames = path.split(';')
    for (let depth = 1; depth <= frames.length; depth++) {
      const prefix = frames.slice(0, depth).join(';')
      totals.set(prefix, (totals.get(prefix) ?? 0n) + self)
    }
  }
  const descending = [...totals.values()].sort((a, b) => (a > b ? -1 : a < b ? 1 : 0))
  const threshold = descending.length <= maxNodes ? 0n : descending[maxNodes - 1]!
  const kept = new Map<string, bigint>()
  const folded = new Map<string, bigint>()
  for (const path of [...totals.keys()].sort((a, b) => a.split(';').length - b.split(';').length)) {
    const parent = path.split(';').slice(0, -1).join(';')
    if (parent !== '' && !kept.has(parent)) continue
    if (totals.get(path)! >= threshold && path.split(';').at(-1) !== 'other') kept.set(path, selfs.get(path)!)
    else folded.set(parent, (folded.get(parent) ?? 0n) + totals.get(path)!)
  }
  for (const [parent, total] of folded) if (total > 0n) kept.set(parent === '' ? 'other' : `${parent};other`, total)
  return kept
}

const path = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'other'), { minLength: 1, maxLength: 4 })
const self = fc.oneof(fc.bigInt(0n, 20n), fc.bigInt(0n, 2n ** 55n))
const stacks = fc.array(
  fc.tuple(path, self).map(([frames, value]): Stack => [frames.join(';'), value]),
  { maxLength: 25 },
)

/** One recorded answer's data: three services, totals 17280 and 16800 below main. */
const DATASET: Stack[] = [
  ['main;leaf0', 1000n],
  ['main;leaf1', 2000n],
  ['main;leaf2', 4000n],
  ['main;work0;leaf0', 5280n],
  ['main;work0;leaf1', 5920n],
  ['main;work0;leaf2', 5600n],
  ['main;work1;leaf0', 5760n],
  ['main;work1;leaf1', 5440n],
  ['main;work1;leaf2', 6080n],
]

describe('cutTree', () => {
  const cases: [maxNodes: number, kept: Record<string, bigint>][] = [
    [1, { main: 0n, 'main;other': 41_080n }],
    [2, { main: 0n, 'main;work1': 0n, 'main;other': 23_800n, 'main;work1;other': 17_280n }],
    [
      3,
      {
        main: 0n,
        'main;work0': 0n,
        'main;work1': 0n,
        'main;other': 7000n,
        'main;work0;other': 16_800n,
        'main;work1;other': 17_280n,
      },
    ],
    [
      5,
      {
        main: 0n,
        'main;work0': 0n,
        'main;work1': 0n,
        'main;other': 7000n,
        'main;work0;leaf1': 5920n,
        'main;work0;other': 10_880n,
        'main;work1;leaf2': 6080n,
        'main;work1;other': 11_200n,
      },
    ],
  ]
  for (const [maxNodes, kept] of cases) {
    it(`keeps the ${maxNodes} largest and folds the rest, per parent`, () => {
      assert.deepEqual(sorted(byPath(cutTree(treeOf(DATASET), maxNodes))), sorted(new Map(Object.entries(kept))))
    })
  }

  it('leaves a tree of k nodes whole, and cuts at k - 1', () => {
    assert.deepEqual(sorted(byPath(cutTree(treeOf(DATASET), 12))), sorted(expectedByPath(DATASET)))
    assert.ok(byPath(cutTree(treeOf(DATASET), 11)).has('main;other'))
  })

  it('keeps every node that ties with the threshold', () => {
    const tied: Stack[] = [
      ['a', 5n],
      ['b', 5n],
      ['c', 5n],
      ['d', 1n],
    ]
    assert.deepEqual(sorted(byPath(cutTree(treeOf(tied), 2))), [
      ['a', 5n],
      ['b', 5n],
      ['c', 5n],
      ['other', 1n],
    ])
  })

  it('folds a function named other with all below it, even in an uncut tree', () => {
    const tree = treeOf([
      ['main;other;deep', 5n],
      ['main;other', 2n],
      ['main;a', 1n],
    ])
    assert.deepEqual(sorted(byPath(cutTree(tree, 100))), [
      ['main', 0n],
      ['main;a', 1n],
      ['main;other', 7n],
    ])
  })

  it('equals the slow rule', () => {
    fc.assert(
      fc.property(stacks, fc.integer({ min: 1, max: 30 }), (input, maxNodes) => {
        const cut = cutTree(treeOf(input), maxNodes)
        assert.deepEqual(sorted(byPath(cut)), sorted(slowCut(input, maxNodes)))
      }),
      { numRuns: 300 },
    )
  })

  it('keeps the total, has exact totals, and orders children by bytes with other last', () => {
    fc.assert(
      fc.property(stacks, fc.integer({ min: 1, max: 30 }), (input, maxNodes) => {
        const tree = treeOf(input)
        const cut = cutTree(tree, maxNodes)
        assert.equal(getBigInt(cut.total, 0), getBigInt(tree.totals(), 0))
        let children = 0
        for (let node = 0; node < cut.nodeCount; node++) {
          let below = getBigInt(cut.self, node)
          const names: string[] = []
          for (let i = cut.childStart[node]!; i < cut.childStart[node + 1]!; i++) {
            const child = cut.children[i]!
            assert.equal(cut.nodeParent[child], node)
            below += getBigInt(cut.total, child)
            names.push(cut.names.text(cut.nodeName[child]!))
            children++
          }
          assert.equal(getBigInt(cut.total, node), below)
          const others = names.filter((name) => name === 'other')
          assert.deepEqual(names, [...names.filter((name) => name !== 'other').sort(), ...others])
        }
        assert.equal(children, cut.nodeCount - 1)
      }),
    )
  })

  it('does not change what the tree holds', () => {
    const tree = treeOf(DATASET)
    const before = sorted(byPath(tree))
    cutTree(tree, 2)
    assert.deepEqual(sorted(byPath(tree)), before)
    assert.ok(encodeTree(tree).length > 0)
  })

  it('selects exactly between totals that differ above 2^53 and in the lowest bit', () => {
    const large: Stack[] = [
      ['a', 2n ** 60n + 1n],
      ['b', 2n ** 60n],
      ['c', 2n ** 60n + 2n],
    ]
    assert.deepEqual(sorted(byPath(cutTree(treeOf(large), 2))), [
      ['a', 2n ** 60n + 1n],
      ['c', 2n ** 60n + 2n],
      ['other', 2n ** 60n],
    ])
  })
})

describe('resolveMaxNodes (H69)', () => {
  const limits = { defaultNodes: 8192, maxNodes: 1_048_576 }

  it('takes the default for 0 and absent, else what is asked', () => {
    assert.equal(resolveMaxNodes(undefined, limits), 8192)
    assert.equal(resolveMaxNodes(0n, limits), 8192)
    assert.equal(resolveMaxNodes(1n, limits), 1)
    assert.equal(resolveMaxNodes(1_048_576n, limits), 1_048_576)
    assert.equal(resolveMaxNodes(2n ** 63n - 1n, { ...limits, maxNodes: 0 }), 0xffffffff)
  })

  const bad: [requested: bigint, message: string][] = [
    [-1n, 'max flamegraph nodes limit must be set (max allowed 1048576)'],
    [1_048_577n, 'max flamegraph nodes limit 1048577 is greater than allowed 1048576'],
    [2n ** 63n - 1n, 'max flamegraph nodes limit 9223372036854775807 is greater than allowed 1048576'],
  ]
  for (const [requested, message] of bad) {
    it(`refuses ${requested}`, () => {
      assert.throws(() => resolveMaxNodes(requested, limits), { kind: 'invalid_argument', message })
    })
  }
})
