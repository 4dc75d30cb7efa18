/** Answers written by hand: taken as they are they have the bytes that their message is encoded to. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, toBinary } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { rawBytesOf, rawMessage } from '#platform/connect/raw-message.ts'
import {
  FlameGraphSchema,
  SelectMergeStacktracesResponseSchema,
  SelectSeriesResponseSchema,
} from '#platform/gen/querier/v1/querier_pb.ts'

function graphOf(names: readonly string[]): Uint8Array {
  return toBinary(FlameGraphSchema, create(FlameGraphSchema, { names: [...names], total: BigInt(names.length) }))
}

test('a message, alone or as the only field of an answer, is its bytes', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 300 }), { maxLength: 200 }), (names) => {
      const bytes = graphOf(names)
      const raw = rawMessage(FlameGraphSchema, bytes)
      assert.equal(rawBytesOf(FlameGraphSchema, raw), bytes)
      const answer = { flamegraph: raw }
      const encoded = toBinary(
        SelectMergeStacktracesResponseSchema,
        create(SelectMergeStacktracesResponseSchema, { flamegraph: rawMessage(FlameGraphSchema, bytes) }),
      )
      assert.deepEqual(rawBytesOf(SelectMergeStacktracesResponseSchema, answer), encoded)
    }),
    { numRuns: 60 },
  )
})

test('lengths of one to four bytes', () => {
  for (const sizeBytes of [0, 1, 100, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152]) {
    const bytes = graphOf(['x'.repeat(sizeBytes)])
    const raw = rawMessage(FlameGraphSchema, bytes)
    const encoded = toBinary(
      SelectMergeStacktracesResponseSchema,
      create(SelectMergeStacktracesResponseSchema, { flamegraph: raw }),
    )
    assert.deepEqual(rawBytesOf(SelectMergeStacktracesResponseSchema, { flamegraph: raw }), encoded, `${sizeBytes}`)
  }
})

test('what has other fields, or none of these messages, is encoded', () => {
  const raw = rawMessage(FlameGraphSchema, graphOf(['a']))
  assert.equal(
    rawBytesOf(SelectMergeStacktracesResponseSchema, { flamegraph: raw, tree: new Uint8Array(1) }),
    undefined,
  )
  assert.equal(rawBytesOf(SelectMergeStacktracesResponseSchema, { flamegraph: create(FlameGraphSchema) }), undefined)
  assert.equal(rawBytesOf(SelectMergeStacktracesResponseSchema, { dot: 'digraph' }), undefined)
  assert.equal(rawBytesOf(SelectMergeStacktracesResponseSchema, { unknown: raw }), undefined)
  assert.equal(rawBytesOf(SelectSeriesResponseSchema, {}), undefined)
  const empty = rawMessage(SelectSeriesResponseSchema, new Uint8Array(0))
  assert.deepEqual(rawBytesOf(SelectSeriesResponseSchema, empty), new Uint8Array(0))
})
