import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { TupleRows } from '#core/ingest/jfr/tuple-rows.ts'

test('equal tuples of any length are one row, and rows hold their values', () => {
  const rows = new TupleRows()
  const tuple = fc.array(fc.constantFrom(0, 1, 2, 2 ** 32 - 1), { maxLength: 4 })
  fc.assert(
    fc.property(fc.array(tuple, { maxLength: 200 }), (tuples) => {
      rows.begin()
      const known = new Map<string, number>()
      for (const values of tuples) {
        const text = values.join()
        if (!known.has(text)) known.set(text, known.size)
        for (const value of values) rows.values.push(value)
        assert.equal(rows.take(), known.get(text))
      }
      assert.equal(rows.count, known.size)
      for (const [text, row] of known) {
        const values = rows.values.array.subarray(rows.start.array[row], rows.start.array[row + 1])
        assert.equal(values.join(), text)
      }
    }),
  )
})
