import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { CinderError } from '#core/errors.ts'
import { cutTree } from '#core/flamegraph/cut.ts'
import { FunctionTree } from '#core/flamegraph/tree.ts'
import { decodeTreeFormat, encodeTreeFormat } from '#core/flamegraph/tree-format.ts'
import { byPath, expectedByPath, type Stack, sorted, treeOf } from './stacks.ts'

const UNCUT = 1_048_576
const path = fc.array(fc.constantFrom('a', 'b', 'c', 'main', 'é'), { minLength: 1, maxLength: 5 })
const stacks = fc.array(
  fc.tuple(path, fc.bigInt(0n, 2n ** 62n)).map(([frames, value]): Stack => [frames.join(';'), value]),
  { maxLength: 20 },
)

describe('encodeTreeFormat', () => {
  it('writes a virtual root, then children last first, each followed by its own', () => {
    const tree = treeOf([
      ['m;a', 300n],
      ['m;b', 2n],
      ['m;b;c', 1n],
    ])
    const nodes = [
      [0, 0, 1], // root
      [1, 109, 0, 2], // m
      [1, 98, 2, 1], // b
      [1, 99, 1, 0], // c
      [1, 97, 172, 2, 0], // a
    ]
    assert.deepEqual([...encodeTreeFormat(cutTree(tree, UNCUT))], nodes.flat())
  })

  it('writes an empty tree as no bytes', () => {
    assert.equal(encodeTreeFormat(cutTree(new FunctionTree(), 1)).length, 0)
    assert.equal(decodeTreeFormat(new Uint8Array(0)).nodeCount, 1)
    assert.equal(decodeTreeFormat(new Uint8Array(1)).nodeCount, 1)
  })

  it('is read back', () => {
    fc.assert(
      fc.property(stacks, (input) => {
        const decoded = decodeTreeFormat(encodeTreeFormat(cutTree(treeOf(input), UNCUT)))
        assert.deepEqual(sorted(byPath(decoded)), sorted(expectedByPath(input)))
      }),
    )
  })

  it('carries a stack 10,000 deep', () => {
    const deep = treeOf([[Array.from({ length: 10_000 }, () => 'f').join(';'), 9n]])
    assert.equal(decodeTreeFormat(encodeTreeFormat(cutTree(deep, UNCUT))).nodeCount, 10_001)
  })
})

describe('decodeTreeFormat', () => {
  const good = encodeTreeFormat(
    cutTree(
      treeOf([
        ['main;a', 300n],
        ['main;b', 2n ** 40n],
      ]),
      UNCUT,
    ),
  )

  it('refuses every truncation of two bytes and more, and bytes after the end', () => {
    for (let length = 2; length < good.length; length++) {
      assert.throws(() => decodeTreeFormat(good.subarray(0, length)), { kind: 'data_loss' }, `${length} bytes`)
    }
    assert.throws(() => decodeTreeFormat(new Uint8Array([...good, 0])), { kind: 'data_loss' })
  })

  it('refuses more children than there are bytes', () => {
    assert.throws(() => decodeTreeFormat(new Uint8Array([0, 0, 255, 255, 255, 255, 15])), /children in 0 bytes/)
  })

  it('reads any bytes or names the fault (H72)', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 2, maxLength: 40 }), (bytes) => {
        try {
          assert.ok(decodeTreeFormat(bytes).nodeCount >= 1)
        } catch (error) {
          assert.ok(error instanceof CinderError, String(error))
          assert.equal(error.reason, 'malformed_tree')
        }
      }),
      { numRuns: 500 },
    )
  })
})
