/** The plan in calls: by bytes, by owner, and the same for the same plan. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SourceObject } from '#core/rpc/metastore.ts'
import { type PlannedCall, splitPlan } from '../../../apps/query-frontend/split.ts'

function objectOf(objectId: string, sizes: readonly number[]): SourceObject {
  const datasets = sizes.map((sizeBytes, index) => ({ descriptor: { index, sizeBytes, headBytes: 1 }, skip: [] }))
  return { objectId, level: 0, sizeBytes: 0, datasets } as unknown as SourceObject
}

function shape(calls: readonly PlannedCall[]): string[] {
  return calls.map(({ objects }) =>
    objects.map((object) => `${object.objectId}[${object.datasets.map((each) => each.descriptor.index)}]`).join(' '),
  )
}

test('plans are split by bytes and by datasets, in order', () => {
  const limits = { bytes: 10, datasets: 3 }
  const cases: [SourceObject[], string[]][] = [
    [[], []],
    [[objectOf('a', [])], []],
    [
      [objectOf('a', [4, 4]), objectOf('b', [4])],
      ['a[0,1]', 'b[0]'],
    ],
    [
      [objectOf('a', [4]), objectOf('b', [4, 4, 4])],
      ['a[0] b[0]', 'b[1,2]'],
    ],
    [
      [objectOf('a', [99, 1]), objectOf('b', [9, 99])],
      ['a[0]', 'a[1] b[0]', 'b[1]'],
    ],
    [[objectOf('a', [0, 0, 0, 0, 0, 0, 0])], ['a[0,1,2]', 'a[3,4,5]', 'a[6]']],
  ]
  for (const [objects, expected] of cases) assert.deepEqual(shape(splitPlan(objects, { limits })), expected)
})

test('bytes are those that the query reads: heads alone of a large dataset are few', () => {
  const limits = { bytes: 10, datasets: 100 }
  const objects = [objectOf('a', [99, 99, 99]), objectOf('b', [99])]
  const calls = splitPlan(objects, { limits, reads: 'heads' })
  assert.deepEqual(shape(calls), ['a[0,1,2] b[0]'])
  assert.equal(calls[0]!.bytes, 4)
})

test('objects of one owner stay together, and owners take turns', () => {
  const limits = { bytes: 10, datasets: 100 }
  const objects = ['x1', 'y1', 'x2', 'x3', 'y2'].map((id) => objectOf(id, [5]))
  const calls = splitPlan(objects, { limits, ownerOf: (objectId) => objectId[0]! })
  assert.deepEqual(shape(calls), ['x1[0] x2[0]', 'y1[0] y2[0]', 'x3[0]'])
})
