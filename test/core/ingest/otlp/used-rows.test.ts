import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UsedRows } from '#core/ingest/otlp/used-rows.ts'

test('rows are known until the next profile, and room may grow', () => {
  const rows = new UsedRows(2)
  assert.ok(rows.get(1) < 0)
  rows.set(1, 0)
  rows.reserve(300)
  rows.set(299, 7)
  assert.ok(rows.get(0) < 0)
  assert.deepEqual([rows.get(1), rows.get(299)], [0, 7])
  assert.ok(rows.sizeBytes >= 1_200)
  rows.clear()
  assert.ok(rows.get(1) < 0 && rows.get(299) < 0)
})

test('profiles beyond count go on: what is stored begins anew', () => {
  const rows = new UsedRows(8, 20)
  for (let profile = 0; profile < 100; profile++) {
    rows.clear()
    for (let i = 0; i < 8; i++) assert.ok(rows.get(i) < 0, `${i} of profile ${profile}`)
    for (let i = profile % 3; i < 8; i += 2) rows.set(i, i)
    for (let i = 0; i < 8; i++)
      assert.equal(rows.get(i) >= 0 ? rows.get(i) : -1, i % 2 === (profile % 3) % 2 && i >= profile % 3 ? i : -1)
  }
})
