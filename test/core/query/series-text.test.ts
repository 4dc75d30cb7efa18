import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, toJson } from '@bufbuild/protobuf'
import fc from 'fast-check'
import type { SeriesPoint } from '#core/query/time-series.ts'
import { seriesAnswersText } from '#core/query/series-text.ts'
import { SelectSeriesResponseSchema } from '#platform/gen/querier/v1/querier_pb.ts'

const SHOWN = { value: 7n, exemplar: { timeMs: 5, profileId: '', spanId: 'ff', traceId: '', labels: [] } }
const NOTE = { key: 'a', value: '{"é":"\\u0000"}' }
const MESSAGE = { value: 7n, timestamp: 5n, spanId: 'ff' }

test('series are the JSON that their message has', () => {
  const label = fc.record({ name: fc.constantFrom('pod', 'é"\\', ''), value: fc.constantFrom('a', '') })
  const point = fc.record({
    timestampMs: fc.constantFrom(0, -1, 1_760_000_000_123),
    value: fc.oneof(fc.constantFrom(0, 0.5, 1e300, -3), fc.integer()),
    exemplars: fc.constantFrom(undefined, [], [SHOWN]),
    annotations: fc.constantFrom(undefined, [], [NOTE], [NOTE, { key: 'b', value: 'x' }]),
  }) as fc.Arbitrary<SeriesPoint>
  const series = fc.record({ labels: fc.array(label, { maxLength: 3 }), points: fc.array(point, { maxLength: 5 }) })
  fc.assert(
    fc.property(fc.array(series, { maxLength: 4 }), (answers) => {
      const message = create(SelectSeriesResponseSchema, {
        series: answers.map(({ labels, points }) => ({
          labels,
          points: points.map(({ timestampMs, value, exemplars = [], annotations = [] }) => ({
            timestamp: BigInt(timestampMs),
            value,
            exemplars: exemplars.map(() => MESSAGE),
            annotations: [...annotations],
          })),
        })),
      })
      assert.deepEqual(JSON.parse(seriesAnswersText(answers)), toJson(SelectSeriesResponseSchema, message))
    }),
  )
})
