import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FAULT_CLASSES } from './faults.ts'
import { runWorld } from './world.ts'

const classes = new Set(FAULT_CLASSES)

test('one seed, one run: every event, id and figure', { timeout: 60_000 }, async () => {
  for (const seed of [1, 2, 3]) {
    const first = await runWorld({ seed, classes })
    const again = await runWorld({ seed, classes })
    assert.deepEqual(again, first)
  }
})

test('another seed is another run, and without faults nothing fails', { timeout: 60_000 }, async () => {
  const digests = new Set<string>()
  for (const seed of [1, 2, 3, 4, 5]) {
    const calm = await runWorld({ seed, classes: new Set() })
    assert.equal(calm.seen, undefined)
    assert.equal(
      calm.counts.failedQueries + calm.counts.crashes + calm.counts.stops + calm.counts.pauses + calm.counts.parked,
      0,
    )
    assert.equal(calm.counts.acked, calm.counts.profiles)
    digests.add(calm.digest)
  }
  assert.equal(digests.size, 5)
})

test('the worlds see what they are for: merges up to the day, crashes, stops, deletions, queries that are answered', {
  timeout: 60_000,
}, async () => {
  const sums = {
    jobs: 0,
    crashes: 0,
    stops: 0,
    pauses: 0,
    deleted: 0,
    deletions: 0,
    queries: 0,
    failedQueries: 0,
    parked: 0,
    lostThreads: 0,
    journalled: 0,
    quarantined: 0,
    rebuilds: 0,
  }
  let topLevel = 0
  for (let seed = 1; seed <= 30; seed++) {
    const { counts } = await runWorld({ seed, classes })
    for (const name of Object.keys(sums) as (keyof typeof sums)[]) sums[name] += counts[name]
    topLevel = Math.max(topLevel, counts.topLevel)
  }
  assert.equal(topLevel, 7)
  assert.ok(sums.jobs > 100, `${sums.jobs} jobs`)
  assert.ok(Math.min(sums.crashes, sums.pauses, sums.stops) > 10, JSON.stringify(sums))
  assert.ok(sums.deleted > 10 && sums.deletions > 10, JSON.stringify(sums))
  assert.ok(sums.queries - sums.failedQueries > 100, `${sums.queries} queries, ${sums.failedQueries} failed`)
  assert.ok(sums.failedQueries > 0, 'a fault reaches the readers too')
  assert.ok(Math.min(sums.lostThreads, sums.journalled, sums.quarantined, sums.rebuilds) > 0, JSON.stringify(sums))
})
