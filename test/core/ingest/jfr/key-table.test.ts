import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { KeyTable } from '#core/ingest/jfr/key-table.ts'

test('equal keys have one row, numbered in order of first use; a table begins anew with each chunk', () => {
  const key = fc.tuple(
    fc.oneof(fc.integer({ min: 0, max: 40 }), fc.constantFrom(1_023, 1_024, 70_000, 2 ** 32 - 1)),
    fc.constantFrom(0, 0, 1, 2 ** 32 - 1),
  )
  const table = new KeyTable()
  fc.assert(
    fc.property(fc.array(key, { maxLength: 300 }), fc.constantFrom(10, 100_000), (keys, bytes) => {
      table.begin(bytes)
      const rows = new Map<string, number>()
      for (const [lo, hi] of keys) {
        const text = `${lo} ${hi}`
        if (!rows.has(text)) rows.set(text, rows.size)
        assert.equal(table.rowOf(lo, hi), rows.get(text))
      }
      assert.equal(table.count, rows.size)
    }),
  )
})

test('a large key in a small chunk costs no array', () => {
  const table = new KeyTable()
  table.begin(100)
  assert.equal(table.rowOf(2 ** 31, 0), 0)
  for (let i = 0; i < 5_000; i++) assert.equal(table.rowOf(i * 2 ** 20, 7), i + 1)
  assert.equal(table.rowOf(2 ** 31, 0), 0)
})
