import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, toBinary } from '@bufbuild/protobuf'
import fc from 'fast-check'
import type { SeriesPoint } from '#core/query/time-series.ts'
import { encodeSeriesAnswers } from '#core/query/series-wire.ts'
import { SelectSeriesResponseSchema } from '#platform/gen/querier/v1/querier_pb.ts'

const SHOWN = { value: 7n, exemplar: { timeMs: 5, profileId: '', spanId: 'ff', traceId: '', labels: [] } }
const NOTE = { key: 'a', value: '{"é":"\\u0000"}' }
const MESSAGE = { value: 7n, timestamp: 5n, spanId: 'ff' }

test('series are the bytes that the message would have', () => {
  const labels = fc.array(fc.record({ name: fc.string(), value: fc.string({ unit: 'grapheme' }) }), { maxLength: 3 })
  const point = fc.record({
    timestampMs: fc.oneof(fc.maxSafeInteger(), fc.constantFrom(0, -1, 1_760_000_000_000, 2 ** 32)),
    value: fc
      .oneof(fc.double({ noNaN: true }), fc.constantFrom(0, 1, 2 ** 53))
      .map((value) => (value === 0 ? 0 : value)),
    exemplars: fc.constantFrom(undefined, [], [SHOWN]),
    annotations: fc.constantFrom(undefined, [], [NOTE], [NOTE, { key: 'b', value: 'x' }]),
  }) as fc.Arbitrary<SeriesPoint>
  const answer = fc.record({ labels, points: fc.array(point, { maxLength: 20 }) })
  fc.assert(
    fc.property(fc.array(answer, { maxLength: 4 }), (answers) => {
      const message = create(SelectSeriesResponseSchema, {
        series: answers.map(({ labels: pairs, points }) => ({
          labels: pairs,
          points: points.map(({ timestampMs, value, exemplars = [], annotations = [] }) => ({
            timestamp: BigInt(timestampMs),
            value,
            exemplars: exemplars.map(() => MESSAGE),
            annotations: [...annotations],
          })),
        })),
      })
      assert.deepEqual(encodeSeriesAnswers(answers), toBinary(SelectSeriesResponseSchema, message))
    }),
  )
})
