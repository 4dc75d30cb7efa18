import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, toBinary } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { cutTree } from '#core/flamegraph/cut.ts'
import { flameGraphOf } from '#core/flamegraph/flamegraph.ts'
import { encodeFlameGraph } from '#core/flamegraph/flamegraph-wire.ts'
import { FunctionTree } from '#core/flamegraph/tree.ts'
import { FlameGraphSchema } from '#platform/gen/querier/v1/querier_pb.ts'

test('a flame graph is the bytes that the message would have, int64 to its ends', () => {
  const stack = fc.record({
    names: fc.array(fc.constantFrom('a', 'b', 'main', 'total', 'é', ''), { minLength: 1, maxLength: 6 }),
    value: fc.oneof(fc.bigInt({ min: 0n, max: 300n }), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
  })
  fc.assert(
    fc.property(fc.array(stack, { maxLength: 30 }), fc.integer({ min: 1, max: 40 }), (stacks, maxNodes) => {
      const tree = new FunctionTree()
      for (const { names, value } of stacks) {
        const node = names.reduce((parent, name) => tree.child(parent, tree.internText(name)), 0)
        tree.addSelf(node, Number(value & 0xffffffffn), Number((value >> 32n) & 0xffffffffn))
      }
      const { names, levels, total, maxSelf } = flameGraphOf(cutTree(tree, maxNodes))
      const message = create(FlameGraphSchema, { names, levels: levels.map((values) => ({ values })), total, maxSelf })
      assert.deepEqual(encodeFlameGraph(cutTree(tree, maxNodes)), toBinary(FlameGraphSchema, message))
    }),
  )
})
