import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { PairRows } from '#core/ingest/jfr/pair-rows.ts'

test('equal pairs are one row, numbered by first use, and rows hold their values', () => {
  const rows = new PairRows()
  const word = fc.oneof(fc.nat({ max: 40 }), fc.constantFrom(2 ** 31, 2 ** 32 - 1))
  fc.assert(
    fc.property(fc.array(fc.tuple(word, word), { maxLength: 600 }), (pairs) => {
      rows.begin()
      const known = new Map<string, number>()
      for (const [a, b] of pairs) {
        const text = `${a} ${b}`
        if (!known.has(text)) known.set(text, known.size)
        assert.equal(rows.rowOfPair(a, b), known.get(text))
      }
      assert.equal(rows.count, known.size)
      const { array } = rows.values
      assert.deepEqual(
        Array.from({ length: rows.count }, (_, row) => `${array[2 * row]} ${array[2 * row + 1]}`),
        [...known.keys()],
      )
    }),
  )
  assert.ok(rows.sizeBytes >= 2_048)
})
