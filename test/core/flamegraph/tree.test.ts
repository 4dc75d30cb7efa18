import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { CinderError } from '#core/errors.ts'
import { decodeTree, encodeTree, FunctionTree } from '#core/flamegraph/tree.ts'
import { getBigInt } from '#core/wire/int64.ts'
import { byPath, expectedByPath, type Stack, sorted, treeOf } from './stacks.ts'

const path = fc.array(fc.constantFrom('a', 'b', 'c', 'main', 'é', 'other'), { minLength: 1, maxLength: 5 })
const self = fc.oneof(fc.bigInt(0n, 1000n), fc.bigInt(0n, 2n ** 60n))
const stacks = fc.array(
  fc.tuple(path, self).map(([frames, value]): Stack => [frames.join(';'), value]),
  { maxLength: 20 },
)

describe('FunctionTree', () => {
  it('holds the self of every stack and a node for every prefix', () => {
    fc.assert(
      fc.property(stacks, (input) => {
        assert.deepEqual(sorted(byPath(treeOf(input))), sorted(expectedByPath(input)))
      }),
    )
  })

  it('keeps parents below children and one node for a (parent, name)', () => {
    fc.assert(
      fc.property(stacks, (input) => {
        const tree = treeOf(input)
        const seen = new Set<string>()
        for (let i = 1; i < tree.nodeCount; i++) {
          assert.ok(tree.nodeParent[i]! < i)
          seen.add(`${tree.nodeParent[i]} ${tree.nodeName[i]}`)
        }
        assert.equal(seen.size, tree.nodeCount - 1)
      }),
    )
  })

  it('totals are the sums of descendants, exact in int64', () => {
    const tree = treeOf([
      ['main;a', 2n ** 53n + 1n],
      ['main;b', 3n],
      ['main', 5n],
      ['main;a;c', 2n ** 62n],
    ])
    const totals = tree.totals()
    assert.deepEqual(Object.fromEntries(byPath(tree, totals)), {
      main: 2n ** 62n + 2n ** 53n + 9n,
      'main;a': 2n ** 62n + 2n ** 53n + 1n,
      'main;b': 3n,
      'main;a;c': 2n ** 62n,
    })
    assert.equal(getBigInt(totals, 0), 2n ** 62n + 2n ** 53n + 9n)
  })

  it('keeps nothing at the root: an empty stack is not part of a flame graph', () => {
    const tree = new FunctionTree()
    tree.addSelf(0, 7, 0)
    assert.equal(getBigInt(tree.totals(), 0), 0n)
  })

  it('survives growth: 5,000 children of one node and a stack 10,000 deep', () => {
    const tree = new FunctionTree()
    for (let i = 0; i < 5000; i++) tree.addSelf(tree.child(0, tree.internText(`f${i}`)), 1, 0)
    let node = 0
    const name = tree.internText('f0')
    for (let depth = 0; depth < 10_000; depth++) node = tree.child(node, name)
    tree.addSelf(node, 1, 0)
    assert.equal(tree.nodeCount, 1 + 5000 + 9999)
    assert.equal(getBigInt(tree.totals(), 0), 5001n)
    assert.equal(tree.child(0, tree.internText('f4999')), 5000)
    const decoded = decodeTree(encodeTree(tree))
    assert.equal(decoded.nodeCount, tree.nodeCount)
    assert.equal(getBigInt(decoded.totals(), 0), 5001n)
  })
})

describe('the node limit', () => {
  it('is named when it is passed, by single nodes and by merges; what is there stays findable', () => {
    const limited = (): FunctionTree => new FunctionTree(16, 40)
    const tree = limited()
    for (let i = 1; i < 40; i++) tree.child(0, tree.internText(`f${i}`))
    const fault = { kind: 'invalid_argument', reason: 'tree_nodes_limit', message: /more than 40 nodes/ }
    assert.throws(() => tree.child(0, tree.internText('f40')), fault)
    assert.equal(tree.child(0, tree.internText('f7')), 7)
    assert.throws(() => limited().merge(treeOf(Array.from({ length: 40 }, (_, i): Stack => [`f${i}`, 1n]))), fault)
  })
})

describe('merge', () => {
  it('adds up, in any order and grouping, encoded or not', () => {
    fc.assert(
      fc.property(stacks, stacks, stacks, (a, b, c) => {
        const expected = sorted(expectedByPath([...a, ...b, ...c]))
        const leftFirst = treeOf(a)
        leftFirst.merge(treeOf(b))
        leftFirst.merge(treeOf(c))
        assert.deepEqual(sorted(byPath(leftFirst)), expected)

        const rightFirst = treeOf(b)
        rightFirst.mergeEncoded(encodeTree(treeOf(c)))
        const reversed = new FunctionTree()
        reversed.mergeEncoded(encodeTree(rightFirst))
        reversed.mergeEncoded(encodeTree(treeOf(a)))
        assert.deepEqual(sorted(byPath(reversed)), expected)
      }),
    )
  })

  it('of a tree with itself doubles it', () => {
    const tree = treeOf([['a;b', 2n ** 40n]])
    tree.merge(tree)
    assert.equal(byPath(tree).get('a;b'), 2n ** 41n)
  })
})

describe('encodeTree', () => {
  it('has a fixed form', () => {
    const bytes = encodeTree(
      treeOf([
        ['m;f', 300n],
        ['m', 2n],
      ]),
    )
    assert.deepEqual([...bytes], [1, 2, 2, 1, 1, 109, 102, 1, 1, 1, 2, 2, 172, 2])
    assert.deepEqual([...encodeTree(new FunctionTree())], [1, 0, 0])
  })

  it('is read back with every int64, negative ones too', () => {
    for (const value of [
      0n,
      127n,
      128n,
      2n ** 28n,
      2n ** 31n,
      2n ** 32n,
      2n ** 35n - 1n,
      2n ** 63n - 1n,
      -1n,
      -(2n ** 63n),
    ]) {
      assert.equal(byPath(decodeTree(encodeTree(treeOf([['a', value]])))).get('a'), value)
    }
  })

  it('keeps names that are not UTF-8, byte for byte', () => {
    const tree = new FunctionTree()
    const bytes = new Uint8Array([0xff, 0xfe, 0x00])
    tree.child(0, tree.internName(bytes, 0, 3))
    const decoded = decodeTree(encodeTree(tree))
    assert.deepEqual([...decoded.names.viewBytes(decoded.nodeName[1]!)], [...bytes])
  })
})

describe('decodeTree refuses', () => {
  const good = encodeTree(
    treeOf([
      ['main;a', 300n],
      ['main;b', 2n ** 40n],
    ]),
  )

  const bad: [what: string, bytes: number[]][] = [
    ['no bytes', []],
    ['another version', [2, 0, 0]],
    ['more nodes than bytes', [1, 0, 255, 255, 3]],
    ['more names than bytes', [1, 255, 255, 3, 0]],
    ['names longer than the message', [1, 1, 0, 200, 1]],
    ['parent distance 0', [1, 0, 1, 0, 0, 0]],
    ['a parent before the root', [1, 0, 1, 2, 0, 0]],
    ['a name that is not there', [1, 0, 1, 1, 1, 0]],
    ['a varint over 32 bits', [1, 255, 255, 255, 255, 16, 0]],
    ['a self over 64 bits', [1, 0, 1, 1, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2]],
    ['bytes after the end', [1, 0, 0, 0]],
  ]
  for (const [what, bytes] of bad) {
    it(what, () => {
      assert.throws(() => decodeTree(new Uint8Array(bytes)), { kind: 'data_loss', reason: 'malformed_tree' })
    })
  }

  it('every truncation', () => {
    for (let length = 0; length < good.length; length++) {
      assert.throws(() => decodeTree(good.subarray(0, length)), { kind: 'data_loss' }, `${length} bytes`)
    }
  })

  it('or reads any bytes, never crashes, and leaves the tree as it was (H72)', () => {
    const flip = fc.tuple(fc.nat(good.length - 1), fc.nat(255))
    fc.assert(
      fc.property(fc.array(flip, { minLength: 1, maxLength: 3 }), (flips) => {
        const bytes = good.slice()
        for (const [at, value] of flips) bytes[at] = value
        const tree = treeOf([['kept', 1n]])
        try {
          tree.mergeEncoded(bytes)
        } catch (error) {
          assert.ok(error instanceof CinderError, String(error))
          assert.equal(error.kind, 'data_loss')
          assert.deepEqual(sorted(byPath(tree)), [['kept', 1n]])
        }
      }),
      { numRuns: 500 },
    )
  })
})
