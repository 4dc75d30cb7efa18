import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { TextTable, viewOf } from '#core/compaction/merge-text.ts'

const encode = (text: string): Uint8Array => new TextEncoder().encode(text)
const intern = (table: TextTable, text: string): number => {
  // In the middle of other bytes, at any alignment.
  const bytes = encode(`${'#'.repeat(text.length % 5)}${text}##`)
  const start = text.length % 5
  return table.intern(viewOf(bytes), start, bytes.length - 2)
}

test('the empty string is row 0', () => {
  const table = new TextTable(0, 0)
  assert.equal(intern(table, ''), 0)
  assert.equal(table.viewColumns().stringCount, 1)
})

test('equal contents have one id, different ones differ, and bytes come back', () => {
  const texts = fc.array(fc.string({ maxLength: 20 }), { maxLength: 400 })
  fc.assert(
    fc.property(texts, fc.boolean(), (list, twice) => {
      const table = new TextTable(4, 8)
      const expected = new Map<string, number>([['', 0]])
      for (const text of twice ? [...list, ...list] : list) {
        const key = new TextDecoder().decode(encode(text))
        const id = intern(table, text)
        assert.equal(id, expected.get(key) ?? expected.size)
        expected.set(key, id)
      }
      const { stringCount, stringOffset, stringBytes } = table.viewColumns()
      assert.equal(stringCount, expected.size)
      for (const [text, id] of expected)
        assert.equal(new TextDecoder().decode(stringBytes.subarray(stringOffset[id], stringOffset[id + 1])), text)
    }),
    { numRuns: 60 },
  )
})

test('strings that differ in their last byte only are two', () => {
  const table = new TextTable(4, 8)
  const ids = ['abcdefgh1', 'abcdefgh2', 'abcdefgh', 'abcdefg'].map((text) => intern(table, text))
  assert.deepEqual(ids, [1, 2, 3, 4])
  assert.deepEqual(
    ['abcdefgh1', 'abcdefgh2', 'abcdefgh', 'abcdefg'].map((text) => intern(table, text)),
    ids,
  )
})
