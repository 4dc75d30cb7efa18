import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isMark, marksOf, SAMPLED_KEY, takeMarks } from '#core/query/point-annotations.ts'
import { finishTimeSeries, mergeTimeSeries, TimeSeriesBuilder } from '#core/query/time-series.ts'
import { makeLabels } from '../../support/datasets.ts'

const SHOP = makeLabels({ pod: 'a', service_name: 'shop' })
const CART = makeLabels({ pod: 'b', service_name: 'cart' })

test('marks are told from series, and a list without any is given back as it is', () => {
  assert.equal(isMark(marksOf([], 'x')), true)
  assert.equal(isMark(marksOf(SHOP, 'x')), true)
  assert.deepEqual([isMark([]), isMark(SHOP)], [false, false])
  const series = [{ labels: [...SHOP], stepIndexes: [1], sums: [5n], counts: [1] }]
  assert.equal(takeMarks(series).series, series)
})

test('points whose profiles were sampled say so, each rule once, and nothing else of the answer changes', () => {
  const build = (withMarks: boolean) => {
    const builder = new TimeSeriesBuilder(['service_name'])
    for (const [labels, step, sum, rule] of [
      [SHOP, 1, 5, 'b'],
      [SHOP, 1, 6, 'a'],
      [SHOP, 1, 7, 'b'],
      [SHOP, 2, 8, ''],
      [CART, 2, 9, 'a'],
    ] as const) {
      builder.add(builder.seriesOf(labels), step, sum, 0)
      if (withMarks && rule !== '') builder.mark(builder.marksOf(labels, rule), step)
    }
    assert.equal(builder.seriesCount, 2, 'marks are no series')
    return builder
  }
  const range = { startMs: 0, endMs: 10_000, stepMs: 1_000 }
  const note = (value: string) => ({ key: SAMPLED_KEY, value })
  for (const aggregation of ['sum', 'average'] as const) {
    const finish = (withMarks: boolean, limit = 0) =>
      finishTimeSeries(build(withMarks).build(), { range, aggregation, limit })
    const answers = finish(true)
    assert.deepEqual(
      answers.map(({ points }) => points.map(({ annotations }) => annotations)),
      [[[note('a'), note('b')], undefined], [[note('a')]]],
    )
    const bare = answers.map(({ labels, points }) => ({
      labels,
      points: points.map(({ timestampMs, value }) => ({ timestampMs, value })),
    }))
    assert.deepEqual(bare, finish(false))
    assert.equal(finish(true, 1).length, 1, 'a limit counts series')
  }
})

test('partial answers with marks merge in any order and grouping', () => {
  const row = fc.tuple(fc.constantFrom(SHOP, CART), fc.nat(3), fc.nat(9), fc.constantFrom('', 'a', 'b'))
  const range = { startMs: 0, endMs: 3_000, stepMs: 1_000 }
  const finish = (series: ReturnType<typeof mergeTimeSeries>) =>
    finishTimeSeries(series, { range, aggregation: 'sum', limit: 0 })
  fc.assert(
    fc.property(fc.array(row, { maxLength: 12 }), fc.nat(12), (rows, cut) => {
      const buildOf = (some: typeof rows) => {
        const builder = new TimeSeriesBuilder(['service_name'])
        for (const [labels, step, sum, rule] of some) {
          builder.add(builder.seriesOf(labels), step, sum, 0)
          if (rule !== '') builder.mark(builder.marksOf(labels, rule), step)
        }
        return builder.build()
      }
      const [left, right] = [buildOf(rows.slice(0, cut)), buildOf(rows.slice(cut))]
      assert.deepEqual(finish(mergeTimeSeries([right, left])), finish(buildOf(rows)))
      assert.deepEqual(finish(mergeTimeSeries([left, right])), finish(buildOf(rows)))
    }),
  )
})

test('every point has the rules of its own profiles, whichever they are, and points that say the same share a list', () => {
  const row = fc.tuple(fc.constantFrom(SHOP, CART), fc.nat(5), fc.constantFrom('', 'a', 'b', 'c'))
  const range = { startMs: 0, endMs: 5_000, stepMs: 1_000 }
  fc.assert(
    fc.property(fc.array(row, { maxLength: 24 }), (rows) => {
      const builder = new TimeSeriesBuilder(['service_name'])
      const expected = new Map<string, Set<string>>()
      for (const [labels, step, rule] of rows) {
        builder.add(builder.seriesOf(labels), step, 1, 0)
        const key = `${labels === SHOP ? 'shop' : 'cart'} ${step}`
        const own = expected.get(key) ?? new Set()
        expected.set(key, own)
        if (rule === '') continue
        builder.mark(builder.marksOf(labels, rule), step)
        own.add(rule)
      }
      let pointCount = 0
      for (const { labels, points } of finishTimeSeries(builder.build(), { range, aggregation: 'sum', limit: 0 })) {
        const lists = new Map<string, unknown>()
        for (const { timestampMs, annotations } of points) {
          const rules = [...expected.get(`${labels[0]!.value} ${timestampMs / range.stepMs}`)!].sort()
          const notes = rules.map((value) => ({ key: SAMPLED_KEY, value }))
          assert.deepEqual(annotations, rules.length === 0 ? undefined : notes)
          const list = lists.get(rules.join()) ?? annotations
          assert.equal(annotations, list)
          lists.set(rules.join(), list)
          pointCount++
        }
      }
      assert.equal(pointCount, expected.size)
    }),
  )
})

test('the limit of points counts annotations too, and says so where there are any', () => {
  const fill = (rule: string) => {
    const builder = new TimeSeriesBuilder(['service_name'], 3)
    for (let step = 0; step < 4; step++) {
      builder.add(builder.seriesOf(SHOP), step, 1, 0)
      if (rule !== '') builder.mark(builder.marksOf(SHOP, rule), step)
    }
  }
  assert.throws(() => fill(''), /more than 3 points, the limit: use a longer step/)
  assert.throws(() => fill('a'), /more than 3 points and annotations of them, the limit: use a longer step/)
})
