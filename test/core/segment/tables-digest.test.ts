import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tablesDigestOf } from '#core/segment/tables-digest.ts'
import { createDigest } from '#platform/digest.ts'

const digest = createDigest()
const raw = Uint8Array.from({ length: 64 }, (_, i) => i)

test('equal tables have equal digests wherever they lie; other bytes between them do not count', () => {
  const moved = new Uint8Array(80)
  moved.set(raw.subarray(10, 20), 30)
  moved.set(raw.subarray(40, 50), 60)
  const one = tablesDigestOf({ raw, tableRuns: [10, 20] }, digest)
  const two = tablesDigestOf({ raw, tableRuns: [10, 20, 40, 50] }, digest)
  assert.deepEqual(tablesDigestOf({ raw: moved, tableRuns: [30, 40] }, digest), one)
  assert.deepEqual(tablesDigestOf({ raw: moved, tableRuns: [30, 40, 60, 70] }, digest), two)
  assert.notDeepEqual(two, one)
  assert.notDeepEqual(tablesDigestOf({ raw, tableRuns: [40, 50, 10, 20] }, digest), two)
  assert.notDeepEqual(tablesDigestOf({ raw, tableRuns: [10, 21] }, digest), one)
})

test('no runs, no digest', () => {
  assert.equal(tablesDigestOf({ raw, tableRuns: [] }, digest), undefined)
})
