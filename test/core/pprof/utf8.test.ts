import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { characterStart, isValidUtf8 } from '#core/pprof/utf8.ts'

function platformSaysValid(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return true
  } catch {
    return false
  }
}

test('every one and two byte text, and every three byte text at the borders, is judged as the platform does', () => {
  const borders = [
    0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0,
    0xf1, 0xf3, 0xf4, 0xf5, 0xff,
  ]
  const check = (...bytes: number[]): void =>
    assert.equal(
      isValidUtf8(new Uint8Array(bytes), 0, bytes.length),
      platformSaysValid(new Uint8Array(bytes)),
      String(bytes),
    )
  for (let a = 0; a < 256; a++) {
    check(a)
    for (let b = 0; b < 256; b++) check(a, b)
  }
  for (const a of borders)
    for (const b of borders)
      for (const c of borders) {
        check(a, b, c)
        for (const d of [0x7f, 0x80, 0xbf, 0xc0]) check(a, b, c, d)
      }
})

test('property: encoded text is valid, and judged by its range alone', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      const encoded = new TextEncoder().encode(text)
      const padded = new Uint8Array(encoded.length + 2).fill(0xff)
      padded.set(encoded, 1)
      assert.ok(isValidUtf8(padded, 1, encoded.length + 1))
      assert.equal(isValidUtf8(padded, 1, encoded.length + 2), false)
    }),
  )
})

test('a character cut by the end of its range is invalid', () => {
  const euro = new TextEncoder().encode('€€')
  assert.equal(isValidUtf8(euro, 0, 3), true)
  assert.equal(isValidUtf8(euro, 0, 5), false)
})

test('a cut begins at the next whole character', () => {
  const bytes = new TextEncoder().encode('a€b')
  assert.deepEqual(
    [0, 1, 2, 3, 4, 5].map((at) => characterStart(bytes, at, 5)),
    [0, 1, 4, 4, 4, 5],
  )
})
