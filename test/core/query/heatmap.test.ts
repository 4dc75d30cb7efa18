import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { finishHeatmap, SLOTS_MAX } from '#core/query/heatmap.ts'
import { PointRows } from '#core/query/point-rows.ts'

const OPTIONS = { originMs: 1_000, stepMs: 10, limit: 0 }
const NOBODY = () => ({ timeMs: 0, profileId: '', spanId: '', traceId: '', labels: [] })

function rowsOf(values: readonly (readonly [step: number, value: bigint])[], group = 'a') {
  const rows = new PointRows({ best: false, exemplars: false })
  for (const [step, value] of values) rows.add([{ name: 'g', value: group }], { step, value }, NOBODY)
  return rows.build()
}

test('ranges of values are equal parts with whole lower ends', () => {
  const [answer] = finishHeatmap(
    rowsOf([
      [0, 210n],
      [0, 549n],
      [2, 7_000n],
    ]),
    OPTIONS,
  )
  assert.deepEqual(answer!.slots[0]!.yMin.slice(0, 4), [210, 549, 889, 1228])
  assert.equal(answer!.slots[0]!.yMin.at(-1), 6660)
  assert.deepEqual(
    answer!.slots.map(({ timestampMs, counts }) => [timestampMs, counts.flatMap((n, i) => (n > 0 ? [[i, n]] : []))]),
    [
      [
        1_000,
        [
          [0, 1],
          [1, 1],
        ],
      ],
      [1_020, [[19, 1]]],
    ],
  )
})

test('equal values count in the last range, and values past 2^53 in the right one', () => {
  const [equal] = finishHeatmap(
    rowsOf([
      [0, 5n],
      [0, 5n],
    ]),
    OPTIONS,
  )
  assert.equal(equal!.slots[0]!.counts[19], 2)
  assert.ok(equal!.slots[0]!.yMin.every((end) => end === 5))
  const big = 2n ** 62n
  const [huge] = finishHeatmap(
    rowsOf([
      [0, 0n],
      [0, big / 2n],
      [0, big - 1n],
    ]),
    OPTIONS,
  )
  assert.deepEqual(
    huge!.slots[0]!.counts.flatMap((n, i) => (n > 0 ? [i] : [])),
    [0, 10, 19],
  )
})

test('the exemplar of a range is its greatest value; series by points, then cut, over ranges of all', () => {
  const rows = new PointRows({ best: false, exemplars: true })
  const add = (group: string, value: bigint, id: string) =>
    rows.add([{ name: 'g', value: group }], { step: 0, value }, () => ({ ...NOBODY(), profileId: id }))
  add('b', 100n, 'b100')
  add('a', 0n, 'a0')
  add('a', 1n, 'a1')
  const [first, second] = finishHeatmap(rows.build(), OPTIONS)
  assert.deepEqual(
    first!.slots[0]!.exemplars.map(({ value, exemplar }) => [value, exemplar.profileId]),
    [[1n, 'a1']],
  )
  assert.equal(second!.labels[0]!.value, 'b')
  const limited = finishHeatmap(rows.build(), { ...OPTIONS, limit: 1 })
  assert.deepEqual(limited, [first])
  assert.deepEqual(finishHeatmap([], OPTIONS), [])
})

test('more slots than a screen can show are refused, and a limit of series helps', () => {
  const many = rowsOf(Array.from({ length: SLOTS_MAX }, (_, step) => [step, 1n] as const))
  assert.equal(finishHeatmap(many, OPTIONS)[0]!.slots.length, SLOTS_MAX)
  const more = [...many, ...rowsOf([[0, 1n]], 'b')]
  assert.throws(() => finishHeatmap(more, OPTIONS), { kind: 'invalid_argument', message: /longer step/ })
  assert.equal(finishHeatmap(more, { ...OPTIONS, limit: 1 }).length, 1)
})

test('no point is lost, and each lies in its range', () => {
  const values = fc.array(fc.tuple(fc.nat(5), fc.bigInt({ min: -(2n ** 40n), max: 2n ** 40n })), { minLength: 1 })
  fc.assert(
    fc.property(values, (points) => {
      const [answer] = finishHeatmap(rowsOf(points), OPTIONS)
      for (const { timestampMs, yMin, counts } of answer!.slots) {
        const own = points.filter(([step]) => OPTIONS.originMs + step * OPTIONS.stepMs === timestampMs)
        const expected = yMin.map((end, i) => {
          const isIn = (value: number) => value >= end && (i === 19 || value < yMin[i + 1]!)
          return own.filter(([, value]) => isIn(Number(value))).length
        })
        assert.deepEqual(counts, expected)
      }
      const total = answer!.slots.reduce((sum, { counts }) => sum + counts.reduce((a, b) => a + b), 0)
      assert.equal(total, points.length)
    }),
  )
})
