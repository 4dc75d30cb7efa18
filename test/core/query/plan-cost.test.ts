import assert from 'node:assert/strict'
import { test } from 'node:test'
import { costOfPlan, dearestServices, fittingRangeMs, readBytesOf } from '#core/query/plan-cost.ts'
import type { DatasetDescriptor, SourceObject } from '#core/rpc/metastore.ts'

function descriptor(service: string, sizeBytes: number, profileCount = 2): DatasetDescriptor {
  return { service, sizeBytes, headBytes: 10, profileCount, sampleCount: 7 } as DatasetDescriptor
}

const object = (...datasets: DatasetDescriptor[]) =>
  ({ objectId: 'o', datasets: datasets.map((each) => ({ descriptor: each, skip: [] })) }) as unknown as SourceObject

test('a query reads heads, heads and ids, or everything', () => {
  assert.equal(readBytesOf(descriptor('a', 1_000), 'samples'), 1_000)
  assert.equal(readBytesOf(descriptor('a', 1_000), 'heads'), 10)
  assert.equal(readBytesOf(descriptor('a', 1_000), 'ids'), 42)
  assert.equal(readBytesOf(descriptor('a', 30), 'ids'), 30)
})

test('the cost of a plan is the sum of its datasets', () => {
  const plan = [object(descriptor('a', 100), descriptor('b', 50)), object(descriptor('a', 1))]
  assert.deepEqual(costOfPlan(plan, 'samples'), { objects: 2, datasets: 3, bytes: 151, profiles: 6, samples: 21 })
  assert.deepEqual(costOfPlan([], 'heads'), { objects: 0, datasets: 0, bytes: 0, profiles: 0, samples: 0 })
})

test('services by what they cost, ties by name', () => {
  const plan = [object(descriptor('c', 5), descriptor('b', 5)), object(descriptor('a', 1), descriptor('c', 5))]
  assert.deepEqual(dearestServices(plan, 'samples', 2), [
    { service: 'c', bytes: 10 },
    { service: 'b', bytes: 5 },
  ])
})

test('ranges get cheaper where datasets end, however little is asked of each', () => {
  const until = (maxTimeMs: number, sizeBytes: number) => ({ ...descriptor('a', sizeBytes), maxTimeMs })
  const plan = [object(until(1_000, 50), until(4_000, 20)), object(until(3_000, 20))]
  const fitting = (bytes: number, endMs = 5_000) => fittingRangeMs(plan, 'samples', { endMs, bytes })
  assert.equal(fitting(90), Number.POSITIVE_INFINITY)
  assert.equal(fitting(89), 3_999)
  assert.equal(fitting(40), 3_999)
  assert.equal(fitting(39), 1_999)
  assert.equal(fitting(19), 999)
  // The last dataset reaches past the end.
  assert.equal(fitting(19, 3_500), 0)
})
