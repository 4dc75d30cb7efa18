import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { NameTable } from '#core/flamegraph/name-table.ts'

const name = fc.string({ unit: 'grapheme', maxLength: 12 })

describe('NameTable', () => {
  it('gives equal bytes one id and different bytes different ids, whatever is guessed', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(name, fc.integer({ min: -2, max: 30 })), { maxLength: 40 }), (texts) => {
        const table = new NameTable()
        const ids = new Map<string, number>()
        for (const [text, guess] of texts) {
          const bytes = new TextEncoder().encode(`<${text}>`)
          const id = table.intern(bytes, 1, bytes.length - 1, guess)
          assert.equal(id, ids.get(text) ?? id)
          ids.set(text, id)
          assert.equal(table.text(id), text)
          assert.equal(table.byteLength(id), bytes.length - 2)
        }
        assert.equal(new Set(ids.values()).size, ids.size)
      }),
    )
  })

  it('has the empty name as id 0', () => {
    const table = new NameTable()
    assert.equal(table.count, 1)
    assert.equal(table.internText(''), 0)
    assert.equal(table.text(0), '')
  })

  it('keeps ids over growth of the hash', () => {
    const table = new NameTable()
    for (let i = 1; i <= 3000; i++) assert.equal(table.internText(`name ${i}`), i)
    for (let i = 1; i <= 3000; i++) assert.equal(table.internText(`name ${i}`), i)
    assert.equal(table.viewArena().length, table.byteCount)
  })

  it('maps all ids of another table, itself included', () => {
    const a = new NameTable()
    const b = new NameTable()
    for (const text of ['x', 'y', 'z']) a.internText(text)
    for (const text of ['z', 'new', 'x']) b.internText(text)
    const map = a.internAll(b)
    assert.deepEqual(
      [...map].map((id) => a.text(id)),
      ['', 'z', 'new', 'x'],
    )
    assert.deepEqual([...a.internAll(a)], [0, 1, 2, 3, 4])
  })

  it('orders by bytes', () => {
    fc.assert(
      fc.property(fc.uniqueArray(name, { minLength: 1, maxLength: 20 }), (texts) => {
        const table = new NameTable()
        const ids = Uint32Array.from(texts, (text) => table.internText(text))
        table.sort(ids)
        const expected = texts.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
        assert.deepEqual(
          [...ids].map((id) => table.text(id)),
          expected,
        )
      }),
    )
  })

  it('knows which names are ASCII', () => {
    const table = new NameTable()
    assert.deepEqual(
      ['', 'main', 'é', 'a\u{1f600}', '~\x7f'].map((text) => table.isAscii(table.internText(text))),
      [true, true, false, false, true],
    )
  })
})
