/** Series that are ended from their rows have the bytes of the long way. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodeEndedSeries } from '#core/query/ended-series.ts'
import { encodeSeriesAnswers } from '#core/query/series-wire.ts'
import { finishTimeSeries, TimeSeriesBuilder } from '#core/query/time-series.ts'

const lane = fc.oneof(fc.constantFrom(0, 1, 0x7fffffff, 0x80000000, 0xffffffff), fc.nat({ max: 0xffffffff }))
const point = fc.record({ series: fc.nat(4), step: fc.nat(30), lo: lane, hi: fc.oneof(fc.constant(0), lane) })

function builderOf(points: readonly { series: number; step: number; lo: number; hi: number }[]): TimeSeriesBuilder {
  const builder = new TimeSeriesBuilder(['pod'])
  const numbers = Array.from({ length: 5 }, (_, i) => builder.seriesOf([{ name: 'pod', value: `pod-${(i * 7) % 5}` }]))
  for (const { series, step, lo, hi } of points) builder.add(numbers[series]!, step, lo, hi)
  return builder
}

test('sums and averages of any int64, ranked and limited, in any order of points', () => {
  const options = fc.record({
    startMs: fc.constantFrom(0, -90_000, 1_764_000_000_123),
    stepMs: fc.constantFrom(1, 15_000),
    aggregation: fc.constantFrom('sum' as const, 'average' as const),
    limit: fc.nat(3),
  })
  fc.assert(
    fc.property(
      fc.array(point, { maxLength: 120 }),
      options,
      fc.boolean(),
      (points, { limit, aggregation, ...at }, isOrdered) => {
        if (isOrdered) points.sort((a, b) => a.series - b.series || a.step - b.step)
        const end = { range: { ...at, endMs: at.startMs + 40 * at.stepMs }, aggregation, limit }
        const builder = builderOf(points)
        const expected = encodeSeriesAnswers(finishTimeSeries(builder.build(), end))
        assert.deepEqual(encodeEndedSeries(builder.rows()!, end), expected)
      },
    ),
    { numRuns: 400 },
  )
})

test('equal totals are ranked by labels, and totals past 2^53 by what they are', () => {
  const end = { range: { startMs: 0, endMs: 10, stepMs: 1 }, aggregation: 'sum', limit: 2 } as const
  const builder = builderOf([
    { series: 0, step: 1, lo: 1, hi: 0x200000 },
    { series: 1, step: 1, lo: 2, hi: 0x200000 },
    { series: 2, step: 1, lo: 2, hi: 0x200000 },
    { series: 3, step: 1, lo: 0, hi: 0x200000 },
  ])
  const expected = encodeSeriesAnswers(finishTimeSeries(builder.build(), end))
  assert.deepEqual(encodeEndedSeries(builder.rows()!, end), expected)
})

test('a partial answer that nothing was added to has no rows yet; with a second one it has', () => {
  const part = builderOf([{ series: 0, step: 2, lo: 5, hi: 0 }]).build()
  const builder = new TimeSeriesBuilder(['pod'])
  builder.merge(part)
  assert.equal(builder.rows(), undefined)
  builder.merge(part)
  const end = { range: { startMs: 0, endMs: 10, stepMs: 1 }, aggregation: 'sum', limit: 0 } as const
  const expected = encodeSeriesAnswers(finishTimeSeries(builder.build(), end))
  assert.deepEqual(encodeEndedSeries(builder.rows()!, end), expected)
})
