import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { StringRows } from '#core/ingest/jfr/string-rows.ts'

const decoder = new TextDecoder()

function textOf({ raw, start, length }: StringRows, row: number): string {
  return decoder.decode(raw.array.subarray(start.array[row], start.array[row]! + length.array[row]!))
}

test('equal texts are one row, the empty one is row 0, and nothing is held twice', () => {
  const rows = new StringRows()
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'grapheme', maxLength: 3 }), { maxLength: 600 }), (texts) => {
      rows.begin()
      const known = new Map([['', 0]])
      for (const text of texts) {
        if (!known.has(text)) known.set(text, known.size)
        assert.equal(rows.rowOf(text), known.get(text))
      }
      for (const [text, row] of known) assert.equal(textOf(rows, row), text)
      const bytes = [...known.keys()].reduce((sum, text) => sum + new TextEncoder().encode(text).length, 0)
      assert.equal(rows.raw.count, bytes)
    }),
  )
})

test('what is no UTF-8 becomes the mark of it, whole characters stay', () => {
  const rows = new StringRows()
  rows.begin()
  const start = rows.raw.count
  // A zero as a JVM writes it, between two letters.
  for (const byte of [0x61, 0xc0, 0x80, 0x62]) rows.raw.push(byte)
  assert.equal(textOf(rows, rows.take(start)), 'a\ufffd\ufffdb')
})
