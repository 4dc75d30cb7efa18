import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type ByteStrings, compareBytes, sortByBytes } from '#core/wire/byte-order.ts'

function packed(texts: readonly Uint8Array[]): ByteStrings {
  const start = new Uint32Array(texts.length + 1)
  texts.forEach(({ length }, i) => {
    start[i + 1] = start[i]! + length
  })
  const bytes = new Uint8Array(start[texts.length]!)
  texts.forEach((text, i) => bytes.set(text, start[i]))
  return { bytes, start }
}

function sorted(texts: readonly Uint8Array[]): Buffer[] {
  const rows = Uint32Array.from(texts, (_, i) => i)
  sortByBytes(packed(texts), rows)
  assert.equal(new Set(rows).size, texts.length, 'every row once')
  return [...rows].map((row) => Buffer.from(texts[row]!))
}

test('rows come in byte order, whatever they share', () => {
  // Few different bytes and a common beginning: long prefixes, equal strings and empty ones.
  const byte = fc.constantFrom(0, 1, 97, 128, 255)
  const text = fc
    .tuple(fc.boolean(), fc.array(byte, { maxLength: 6 }))
    .map(([isLong, bytes]) => Uint8Array.from([...(isLong ? [97, 97, 97, 97] : []), ...bytes]))
  fc.assert(
    fc.property(fc.array(text, { maxLength: 60 }), (texts) => {
      const expected = texts.map((each) => Buffer.from(each)).sort((a, b) => Buffer.compare(a, b))
      assert.deepEqual(sorted(texts), expected)
    }),
  )
})

test('some rows of many are sorted, and the others left alone', () => {
  const strings = packed(['c', 'b', 'a', ''].map((text) => new TextEncoder().encode(text)))
  const rows = Uint32Array.of(0, 2)
  sortByBytes(strings, rows)
  assert.deepEqual([...rows], [2, 0])
})

test('strings of 100,000 equal bytes need no stack, and are equal', () => {
  const long = new Uint8Array(100_000).fill(120)
  const texts = Array.from({ length: 12 }, (_, i) => long.subarray(0, 100_000 - (i % 3)))
  assert.deepEqual(
    sorted(texts).map(({ length }) => length),
    [...Array(4).fill(99_998), ...Array(4).fill(99_999), ...Array(4).fill(100_000)],
  )
  assert.equal(compareBytes(packed(texts), 0, 3), 0)
  assert.ok(compareBytes(packed(texts), 1, 0) < 0)
})
