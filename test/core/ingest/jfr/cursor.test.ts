import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { JfrCursor, STRING_EMPTY, STRING_POOL } from '#core/ingest/jfr/cursor.ts'

function cursorOf(bytes: readonly number[], isCompressed = true): JfrCursor {
  const cursor = new JfrCursor()
  cursor.begin(Uint8Array.from(bytes), 0, bytes.length)
  cursor.isCompressed = isCompressed
  return cursor
}

/** LEB128 whose ninth byte is whole. */
function encoded(value: bigint): number[] {
  const bytes: number[] = []
  let rest = value
  for (let i = 0; i < 8 && rest > 0x7fn; i++) {
    bytes.push(Number(rest & 0x7fn) | 0x80)
    rest >>= 7n
  }
  return [...bytes, Number(rest)]
}

const valueOf = ({ lo, hi }: JfrCursor): bigint => (BigInt(hi) << 32n) | BigInt(lo)

test('any 64 bits come back, compressed or not, and are skipped by as many bytes', () => {
  fc.assert(
    fc.property(fc.bigInt(0n, 2n ** 64n - 1n), (value) => {
      const compressed = cursorOf([...encoded(value), 1])
      compressed.long()
      assert.equal(valueOf(compressed), value)
      const skipped = cursorOf([...encoded(value), 1])
      skipped.skipVarint()
      assert.equal(skipped.at, compressed.at)
      const bytes = Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(56 - 8 * i)) & 0xffn))
      const fixed = cursorOf(bytes, false)
      fixed.long()
      assert.equal(valueOf(fixed), value)
      assert.equal(fixed.at, 8)
    }),
  )
})

test('an int of more than 32 bits, and a count past the end, are faults', () => {
  assert.throws(() => cursorOf(encoded(2n ** 32n)).int(), /an integer before byte 5 passes 32 bits/)
  assert.throws(() => cursorOf([9, 0]).count('frames'), /9 frames at byte 1 pass the 1 bytes that are left/)
  assert.equal(cursorOf([1, 0]).count('frames'), 1)
  assert.equal(cursorOf([0, 0, 0, 4], false).int(), 4)
})

test('strings of every encoding', () => {
  const texts: readonly (readonly [number[], string])[] = [
    [[0], ''],
    [[1], ''],
    [[3, 3, 0x61, 0xc3, 0xa4], 'aä'],
    [[3, 2, 0x61, 0xff], 'a\ufffd'],
    [[4, 2, 0x61, 0xe4, 0x01], 'aä'],
    [[5, 2, 0x61, 0xe4], 'aä'],
  ]
  for (const [bytes, text] of texts) {
    const cursor = cursorOf(bytes)
    cursor.string()
    assert.equal(cursor.text(), text)
    assert.equal(cursor.at, bytes.length)
  }
  const chars = cursorOf([4, 0, 0, 0, 1, 0x20, 0xac], false)
  chars.string()
  assert.equal(chars.text(), '€')
})

test('a string may be a key into a pool', () => {
  const cursor = cursorOf([2, 0x85, 0x01])
  cursor.string()
  assert.deepEqual([cursor.stringKind, cursor.stringStart, cursor.stringLength], [STRING_POOL, 0x85, 0])
  cursor.begin(Uint8Array.of(0), 0, 1)
  cursor.string()
  assert.equal(cursor.stringKind, STRING_EMPTY)
})

test('an unknown encoding is named', () => {
  assert.throws(() => cursorOf([6, 1, 1]).string(), /string of encoding 6 before byte 1, known are 0 to 5/)
})
