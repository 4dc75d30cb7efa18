import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, toBinary, toJson } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { encodeHeatmaps, heatmapsText } from '#core/query/heatmap-wire.ts'
import { SelectHeatmapResponseSchema } from '#platform/gen/querier/v1/querier_pb.ts'

const SHOWN = { value: 7n, exemplar: { timeMs: 5, profileId: '', spanId: 'ff', traceId: '', labels: [] } }
const MESSAGE = { value: 7n, timestamp: 5n, spanId: 'ff' }

test('heat maps are the bytes and the JSON that their message has', () => {
  const label = fc.record({ name: fc.constantFrom('pod', 'é"', ''), value: fc.constantFrom('a', '') })
  const ends = fc.constantFrom<number[]>([], [0, 0.5, 1e300], [-3, 2 ** 60])
  const slot = fc.record({
    timestampMs: fc.constantFrom(0, -5, 1_760_000_000_123),
    counts: fc.array(fc.nat(), { maxLength: 3 }),
    isNamed: fc.boolean(),
  })
  const series = fc.tuple(fc.array(label, { maxLength: 2 }), ends, fc.array(slot, { maxLength: 4 }))
  fc.assert(
    fc.property(fc.array(series, { maxLength: 4 }), (drawn) => {
      const answers = drawn.map(([labels, yMin, slots]) => ({
        labels,
        slots: slots.map((each) => ({ ...each, yMin, exemplars: each.isNamed ? [SHOWN] : [] })),
      }))
      const message = create(SelectHeatmapResponseSchema, {
        series: answers.map(({ labels, slots }) => ({
          labels,
          slots: slots.map(({ timestampMs, yMin, counts, exemplars }) => ({
            timestamp: BigInt(timestampMs),
            yMin,
            counts,
            exemplars: exemplars.map(() => MESSAGE),
          })),
        })),
      })
      assert.deepEqual(encodeHeatmaps(answers), toBinary(SelectHeatmapResponseSchema, message))
      assert.deepEqual(JSON.parse(heatmapsText(answers)), toJson(SelectHeatmapResponseSchema, message))
    }),
  )
})
