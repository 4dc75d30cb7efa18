import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { StringTable } from '#core/symbols/string-table.ts'

const encode = (text: string): Uint8Array => new TextEncoder().encode(text)

test('the empty string is row 0', () => {
  const table = new StringTable()
  assert.equal(table.count, 1)
  assert.equal(table.intern(encode('x'), 0, 0), 0)
})

test('equal contents have one id, different ones differ, and bytes come back', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 12 }), { maxLength: 400 }), (texts) => {
      const table = new StringTable()
      const expected = new Map<string, number>([['', 0]])
      for (const text of texts) {
        const bytes = encode(text)
        const key = new TextDecoder().decode(bytes)
        const id = table.intern(bytes, 0, bytes.length)
        if (expected.has(key)) assert.equal(id, expected.get(key))
        else {
          assert.equal(id, expected.size)
          expected.set(key, id)
        }
      }
      for (const [text, id] of expected) assert.equal(new TextDecoder().decode(table.viewBytes(id)), text)
      const { stringCount, stringOffset, stringBytes } = table.copyColumns()
      assert.equal(stringCount, expected.size)
      assert.equal(stringOffset[stringCount], stringBytes.length)
    }),
    { numRuns: 60 },
  )
})
