import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { JOB_ORDERS, type JobOrder, orderDelaySeconds, type OrderedJob } from '#core/compaction/job-order.ts'
import { FIRST_LEVEL } from '#core/compaction/policy.ts'
import { MIB, MS_PER_DAY, MS_PER_HOUR } from '#core/units.ts'

const NOW_MS = Date.UTC(2026, 5, 1)
const hour = (n: number) => NOW_MS + n * MS_PER_HOUR
const job = (windowHours: number, startHour: number, mib: number): OrderedJob => ({
  level: 5,
  sizeBytes: mib * MIB,
  windowStartMs: hour(startHour),
  windowMs: windowHours * MS_PER_HOUR,
})
const sorted = (order: JobOrder, jobs: Readonly<Record<string, OrderedJob>>) =>
  Object.entries(jobs)
    .map(([name, each]) => ({
      name,
      // As a rank in the table: the precision of a time in seconds is part of the order.
      rank: NOW_MS / 1_000 + orderDelaySeconds(each, { order, ageingBytesPerSecond: MIB }, NOW_MS),
    }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ name }) => name)
    .join(' ')

const JOBS = {
  dayOld: job(24, -72, 40),
  dayNew: job(24, -48, 3),
  sixOld: job(6, -30, 9),
  sixNew: job(6, -12, 5),
  hourOld: job(1, -500, 64),
  hourMid: job(1, -5, 1),
  hourNew: job(1, -2, 7),
}

const table: [JobOrder, string][] = [
  ['small-job-first', 'hourMid dayNew sixNew hourNew sixOld dayOld hourOld'],
  ['smallest-range-oldest-blocks-first', 'hourOld hourMid hourNew sixOld sixNew dayOld dayNew'],
  ['newest-blocks-first', 'hourNew hourMid sixNew sixOld dayNew dayOld hourOld'],
]
for (const [order, expected] of table) {
  test(`${order}: the order of jobs that are planned together`, () => {
    assert.equal(sorted(order, JOBS), expected)
  })
}

test('of blocks with one end the shorter is the newer, of equal ranges the older start comes first by an hour', () => {
  assert.equal(sorted('newest-blocks-first', { six: job(6, -8, 1), one: job(1, -3, 1) }), 'one six')
  const next = { later: job(1, -3, 1), sooner: job(1, -4, 1) }
  assert.equal(sorted('smallest-range-oldest-blocks-first', next), 'sooner later')
})

test('first compaction is by size in every order', () => {
  for (const order of JOB_ORDERS) {
    const first = { level: FIRST_LEVEL, windowStartMs: 0, windowMs: MS_PER_DAY, sizeBytes: 3 * MIB }
    assert.equal(orderDelaySeconds(first, { order, ageingBytesPerSecond: MIB }, NOW_MS), 3)
  }
})

test('nothing is overtaken for ever: a delay is between zero and half an hour and an hour at most, whatever the job', () => {
  const jobs = fc.record({
    level: fc.integer({ min: 1, max: 9 }),
    sizeBytes: fc.integer({ min: 0, max: 64 * MIB }),
    windowStartMs: fc.integer({ min: -(2 ** 40), max: 2 ** 42 }),
    windowMs: fc.constantFrom(MS_PER_HOUR, 6 * MS_PER_HOUR, MS_PER_DAY),
  })
  fc.assert(
    fc.property(jobs, fc.constantFrom(...JOB_ORDERS), (each, order) => {
      const delay = orderDelaySeconds(each, { order, ageingBytesPerSecond: MIB }, NOW_MS)
      assert.ok(delay >= 0 && delay <= 3_601, `${delay}`)
    }),
  )
})
