import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, toJson } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { cutTree } from '#core/flamegraph/cut.ts'
import { cutPair, flameGraphDiffOf } from '#core/flamegraph/diff.ts'
import { flameGraphOf } from '#core/flamegraph/flamegraph.ts'
import { connectGraphText, flamebearerDiffText, flamebearerText } from '#core/flamegraph/graph-text.ts'
import { DiffResponseSchema, SelectMergeStacktracesResponseSchema } from '#platform/gen/querier/v1/querier_pb.ts'
import { type Stack, treeOf } from './stacks.ts'

const path = fc
  .array(fc.constantFrom('a', 'b', 'main', 'total', 'é"\\', ''), { minLength: 1, maxLength: 5 })
  .map((names) => names.join(';'))
const int64 = fc.oneof(
  fc.constant(0n),
  fc.bigInt({ min: 0n, max: 300n }),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
)
const stacksOf = fc.array(fc.tuple(path, int64) as fc.Arbitrary<Stack>, { maxLength: 20 })
const inMessage = <Graph extends { readonly levels: bigint[][] }>({ levels, ...graph }: Graph) => ({
  flamegraph: { ...graph, levels: levels.map((values) => ({ values })) },
})

test('an answer with a flame graph is the JSON that its message has', () => {
  fc.assert(
    fc.property(stacksOf, fc.integer({ min: 1, max: 20 }), (stacks, maxNodes) => {
      const graph = flameGraphOf(cutTree(treeOf(stacks), maxNodes))
      const message = create(SelectMergeStacktracesResponseSchema, inMessage(graph))
      assert.deepEqual(JSON.parse(connectGraphText(graph)), toJson(SelectMergeStacktracesResponseSchema, message))
    }),
  )
})

test('so is one with a difference, with what each side has', () => {
  fc.assert(
    fc.property(stacksOf, stacksOf, (left, right) => {
      const graph = flameGraphDiffOf(cutPair(treeOf(left), treeOf(right), 10))
      const message = create(DiffResponseSchema, inMessage(graph))
      assert.deepEqual(JSON.parse(connectGraphText(graph)), toJson(DiffResponseSchema, message))
    }),
  )
})

test('a flamebearer has its integers in full', () => {
  const graph = flameGraphOf(cutTree(treeOf([['a', 9_007_199_254_740_993n]]), 10))
  assert.equal(
    flamebearerText(graph),
    '{"names":["total","a"],"levels":[[0,9007199254740993,0,0],[0,9007199254740993,9007199254740993,1]],' +
      '"numTicks":9007199254740993,"maxSelf":9007199254740993}',
  )
  const diff = flameGraphDiffOf(cutPair(treeOf([['a', 1n]]), treeOf([['a', 9_007_199_254_740_993n]]), 10))
  assert.match(flamebearerDiffText(diff), /^{"flamebearer":{"names".*},"leftTicks":1,"rightTicks":9007199254740993}$/)
})
