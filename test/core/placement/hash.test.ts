import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hashNames, jumpHash } from '#core/placement/hash.ts'
import { mix32 } from '#core/wire/hash.ts'

test('hashes are what they were: an edge and a metastore of different releases agree', () => {
  assert.deepEqual(
    [hashNames('', ''), hashNames('tenant', ''), hashNames('tenant', 'service'), hashNames('tenan', 'tservice')],
    [33667398, 3069192502, 1614213091, 67811495],
  )
  assert.deepEqual(
    [jumpHash(0, 1024), jumpHash(1, 1024), jumpHash(0xffffffff, 1024), jumpHash(0x80000000, 7)],
    [289, 373, 89, 1],
  )
})

test('one bucket is the only one', () => {
  for (const key of [0, 1, 0xffffffff]) assert.equal(jumpHash(key, 1), 0)
})

test('every bucket is as likely, also for keys that follow each other', () => {
  for (const spread of [(i: number) => i, (i: number) => mix32(i), (i: number) => i << 16]) {
    const counts = new Array<number>(10).fill(0)
    for (let i = 0; i < 20_000; i++) counts[jumpHash(spread(i), 10)]!++
    // 2,000 each, 4.7 standard deviations.
    for (const count of counts) assert.ok(count > 1_800 && count < 2_200, counts.join())
  }
})

test('a bucket more moves its share, to itself alone', () => {
  let moved = 0
  for (let key = 0; key < 10_000; key++) {
    const before = jumpHash(key, 9)
    const after = jumpHash(key, 10)
    if (before !== after) {
      assert.equal(after, 9)
      moved++
    }
  }
  assert.ok(moved > 850 && moved < 1_150, `${moved}`)
})
