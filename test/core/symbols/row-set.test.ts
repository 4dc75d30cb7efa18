import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RowSet } from '#core/symbols/row-set.ts'

test('rows have places in order of first use, also in a set that was used before', () => {
  const set = new RowSet()
  const rows = fc.array(fc.nat(60), { maxLength: 80 })
  fc.assert(
    fc.property(fc.array(rows, { maxLength: 4 }), (uses) => {
      for (const use of uses) {
        set.begin(61)
        const distinct = [...new Set(use)]
        for (const row of use) assert.equal(set.addOnce(row), distinct.indexOf(row))
        assert.deepEqual([...set.rows.array.subarray(0, set.rows.count)], distinct)
        for (let row = 0; row <= 60; row++) {
          assert.equal(set.has(row), distinct.includes(row))
          if (set.has(row)) assert.equal(set.placeOf(row), distinct.indexOf(row))
        }
      }
    }),
    { numRuns: 100 },
  )
})
