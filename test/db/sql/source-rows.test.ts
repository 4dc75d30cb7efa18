import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type DatasetRow, groupBySource } from '#db/sql/source-rows.ts'

const BIG = Number.MAX_SAFE_INTEGER

function row(objectId: string, index: number, skip = '{}', numbers: readonly number[] = []): DatasetRow {
  const [windowStart = -7_200_000, min = -7_199_999, offset = 8] = numbers
  const packed = [3, BIG, index, windowStart, 3_600_000, min, 0, offset, 9, 7, 12, BIG, skip, objectId].join(' ')
  return { tenant: 't t', service: '{"s', packed }
}

test('rows become objects in the order of ids, datasets in that of their index; numbers are exact below 2^53', () => {
  const objects = groupBySource([row('b', 10), row('a', 1, '{0,4294967295}'), row('b', 2, '{7}', [5, -BIG, BIG])])
  assert.deepEqual(
    objects.map(({ objectId, datasets }) => [
      objectId,
      datasets.map(({ descriptor, skip }) => [descriptor.index, skip]),
    ]),
    [
      ['a', [[1, [0, 4_294_967_295]]]],
      [
        'b',
        [
          [2, [7]],
          [10, []],
        ],
      ],
    ],
  )
  const [{ level, sizeBytes }] = objects as [(typeof objects)[0]]
  assert.deepEqual([level, sizeBytes], [3, BIG])
  assert.deepEqual(objects[1]!.datasets[0]!.descriptor, {
    index: 2,
    tenant: 't t',
    service: '{"s',
    windowStartMs: 5,
    windowMs: 3_600_000,
    minTimeMs: -BIG,
    maxTimeMs: 0,
    offset: BIG,
    sizeBytes: 9,
    headBytes: 7,
    profileCount: 12,
    sampleCount: BIG,
  })
})

test('an id with a space is one, and a row that is no row is refused', () => {
  assert.equal(groupBySource([row('a b', 0)])[0]!.objectId, 'a b')
  assert.throws(() => groupBySource([{ tenant: '', service: '', packed: '1 2 3 {} a' }]), /twelve numbers/)
})
