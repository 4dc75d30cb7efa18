import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { CinderError } from '#core/errors.ts'
import { PointRows } from '#core/query/point-rows.ts'

const point = fc.record({
  group: fc.constantFrom('a', 'b'),
  step: fc.nat(3),
  value: fc.bigInt({ min: -2n, max: 2n }),
  id: fc.nat(9),
})

function rowsOf(points: readonly { group: string; step: number; value: bigint; id: number }[], best: boolean) {
  const rows = new PointRows({ best, exemplars: true })
  for (const { group, step, value, id } of points) {
    const exemplar = { timeMs: id % 3, profileId: String(id), spanId: '', traceId: '', labels: [] }
    rows.add([{ name: 'g', value: group }], { step, value }, () => exemplar)
  }
  return rows
}

for (const best of [false, true]) {
  test(`any split and order of points gives the same rows, ${best ? 'the best of a step' : 'all'}`, () => {
    fc.assert(
      fc.property(fc.array(point), fc.nat(), (points, cut) => {
        const at = cut % (points.length + 1)
        const merged = new PointRows({ best, exemplars: true })
        merged.merge(rowsOf(points.slice(at), best).build())
        merged.merge(rowsOf(points.slice(0, at).reverse(), best).build())
        assert.deepEqual(merged.build(), rowsOf(points, best).build())
        const only = new PointRows({ best, exemplars: true })
        only.merge(merged.build())
        assert.deepEqual(only.build(), merged.build())
      }),
    )
  })
}

test('equal points are one row; the best keeps the highest, and the first of equal ones by time', () => {
  const points = [
    { group: 'a', step: 1, value: 5n, id: 4 },
    { group: 'a', step: 1, value: 7n, id: 2 },
    { group: 'a', step: 1, value: 7n, id: 3 },
    { group: 'a', step: 0, value: 1n, id: 8 },
  ]
  const [all] = rowsOf(points, false).build()
  assert.deepEqual(
    [all!.steps, all!.values, all!.counts],
    [
      [0, 1, 1],
      [1n, 5n, 7n],
      [1, 1, 2],
    ],
  )
  const [best] = rowsOf(points, true).build()
  assert.deepEqual(
    [best!.steps, best!.values, best!.counts],
    [
      [0, 1],
      [1n, 7n],
      [1, 3],
    ],
  )
  assert.deepEqual(
    best!.exemplars.map(({ profileId }) => profileId),
    ['8', '3'],
  )
})

test('too many different points are refused with the way out; exemplars are not asked for where none are wanted', () => {
  const rows = new PointRows({ best: false, exemplars: false, rowsMax: 2 })
  const never = () => assert.fail('no exemplar is wanted')
  rows.add([], { step: 0, value: 1n }, never)
  rows.add([], { step: 0, value: 1n }, never)
  rows.add([], { step: 0, value: 2n }, never)
  assert.throws(
    () => rows.add([], { step: 0, value: 3n }, never),
    (error: CinderError) => error.kind === 'invalid_argument' && /more than 2 .*shorter range/.test(error.message),
  )
})
