import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { planSegmentJobs, triggerOf, type WaitingSegment } from '../../../core/compaction/plan.ts'
import type { SegmentCompactionPolicy } from '../../../core/compaction/policy.ts'

const policy: SegmentCompactionPolicy = {
  triggerCount: 20,
  triggerBytes: 8_000,
  triggerAgeMs: 2_000,
  jobSegmentsMax: 32,
  jobBytesMax: 32_000,
}

function segments(count: number, sizeBytes = 10, createdAtMs = 1_000): WaitingSegment[] {
  return Array.from({ length: count }, (_, i) => ({
    objectId: `s${String(i).padStart(4, '0')}`,
    sizeBytes,
    createdAtMs,
  }))
}

const triggers: [string, WaitingSegment[], number, string | undefined][] = [
  ['nothing waits', [], 99_999, undefined],
  ['one young segment', segments(1), 2_999, undefined],
  ['one segment of the trigger age', segments(1), 3_000, 'age'],
  ['one below the count', segments(19), 1_000, undefined],
  ['the count', segments(20), 1_000, 'count'],
  ['a byte below', segments(1, 7_999), 1_000, undefined],
  ['the bytes', segments(2, 4_000), 1_000, 'bytes'],
  ['the oldest decides, not the first', [...segments(1, 10, 5_000), ...segments(1, 10, 1_000)], 3_000, 'age'],
  ['a clock behind the segment', segments(1, 10, 9_000), 1_000, undefined],
]
for (const [name, waiting, nowMs, expected] of triggers) {
  test(`trigger: ${name}`, () => {
    assert.equal(triggerOf(waiting, policy, nowMs), expected)
    assert.equal(planSegmentJobs(waiting, policy, nowMs).length > 0, expected !== undefined)
  })
}

const cuts: [string, WaitingSegment[], number[]][] = [
  ['one job for one segment: the tail compacts', segments(1, 10, 0), [1]],
  ['all waiting segments go, not only the count', segments(27), [27]],
  ['exactly the cap', segments(32), [32]],
  ['one above the cap is cut evenly', segments(33), [16, 17]],
  ['many', segments(100), [25, 25, 25, 25]],
  ['bytes cap', segments(4, 16_000), [2, 2]],
  ['a segment above the bytes cap is alone', [...segments(1, 40_000), ...segments(3, 1_000, 2_000)], [3, 1]],
]
for (const [name, waiting, expected] of cuts) {
  test(`cut: ${name}`, () => {
    assert.deepEqual(
      planSegmentJobs(waiting, policy, 10_000).map((job) => job.objectIds.length),
      expected,
    )
  })
}

test('small jobs come first, equal ones in arrival order', () => {
  const late = segments(2, 30_000, 5_000)
  const jobs = planSegmentJobs([...segments(1, 31_000, 1), ...late.slice(1)], policy, 10_000)
  assert.deepEqual(
    jobs.map((job) => [job.objectIds, job.sizeBytes, job.level]),
    [
      [['s0001'], 30_000, 1],
      [['s0000'], 31_000, 1],
    ],
  )
})

const arbitraryWaiting = fc.uniqueArray(
  fc.record({
    objectId: fc.string({ minLength: 1, maxLength: 6 }),
    sizeBytes: fc.integer({ min: 0, max: 50_000 }),
    createdAtMs: fc.integer({ min: 0, max: 5_000 }),
  }),
  { selector: (segment) => segment.objectId, maxLength: 120 },
)

test('no segment is lost or doubled, caps hold, order of input does not matter', () => {
  fc.assert(
    fc.property(arbitraryWaiting, fc.integer({ min: 0, max: 10_000 }), (waiting, nowMs) => {
      const jobs = planSegmentJobs(waiting, policy, nowMs)
      assert.deepEqual(planSegmentJobs([...waiting].reverse(), policy, nowMs), jobs)
      if (triggerOf(waiting, policy, nowMs) === undefined) return assert.deepEqual(jobs, [])
      assert.deepEqual(jobs.flatMap((job) => job.objectIds).sort(), waiting.map((segment) => segment.objectId).sort())
      for (const job of jobs) {
        assert.ok(job.objectIds.length <= policy.jobSegmentsMax)
        assert.ok(job.sizeBytes <= policy.jobBytesMax || job.objectIds.length === 1)
      }
      for (let i = 1; i < jobs.length; i++) assert.ok(jobs[i - 1]!.sizeBytes <= jobs[i]!.sizeBytes)
    }),
  )
})
