import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UsedRows } from '#core/ingest/otlp/used-rows.ts'

test('rows are known until the next profile, and room may grow', () => {
  const rows = new UsedRows(2)
  assert.equal(rows.get(1), -1)
  rows.set(1, 0)
  rows.reserve(300)
  rows.set(299, 7)
  assert.deepEqual([rows.get(0), rows.get(1), rows.get(299)], [-1, 0, 7])
  assert.ok(rows.sizeBytes >= 1_200)
  rows.clear()
  assert.deepEqual([rows.get(1), rows.get(299)], [-1, -1])
})
