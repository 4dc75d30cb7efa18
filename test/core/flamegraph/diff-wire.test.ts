import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, toBinary } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { encodeFlameGraphDiff } from '#core/flamegraph/diff-wire.ts'
import { cutPair, flameGraphDiffOf } from '#core/flamegraph/diff.ts'
import { FlameGraphDiffSchema } from '#platform/gen/querier/v1/querier_pb.ts'
import { type Stack, treeOf } from './stacks.ts'

test('a difference is the bytes that the message would have, int64 to its ends', () => {
  const path = fc
    .array(fc.constantFrom('a', 'b', 'é', ''), { minLength: 1, maxLength: 5 })
    .map((names) => names.join(';'))
  const value = fc.oneof(fc.bigInt({ min: 0n, max: 300n }), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }))
  const stacksOf = fc.array(fc.tuple(path, value) as fc.Arbitrary<Stack>, { maxLength: 20 })
  fc.assert(
    fc.property(stacksOf, stacksOf, (left, right) => {
      const graph = flameGraphDiffOf(cutPair(treeOf(left), treeOf(right), 12))
      const levels = graph.levels.map((values) => ({ values }))
      const message = create(FlameGraphDiffSchema, { ...graph, levels })
      assert.deepEqual(encodeFlameGraphDiff(graph), toBinary(FlameGraphDiffSchema, message))
    }),
  )
})
