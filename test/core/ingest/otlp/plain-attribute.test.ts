import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readTableAttribute } from '#core/ingest/otlp/attributes.ts'
import { PlainAttribute } from '#core/ingest/otlp/plain-attribute.ts'
import { EntryRanges } from '#core/ingest/otlp/request.ts'
import { isValidUtf8 } from '#core/pprof/utf8.ts'
import { ProtobufWriter } from '#core/wire/protobuf.ts'

/** `text` or `integer` under the key `key`, between bytes that are no part of it. */
function attributeOf(key: number, value: string | bigint) {
  const [pair, any] = [new ProtobufWriter(), new ProtobufWriter()]
  if (typeof value === 'string') any.stringField(1, value)
  else {
    any.tag(3, 0)
    any.varintBigInt(value)
  }
  pair.tag(1, 0)
  pair.varint(key)
  pair.messageField(2, any)
  const bytes = pair.copyBytes()
  return { raw: Uint8Array.of(0xff, ...bytes, 0xff), start: 1, end: 1 + bytes.length }
}

function readPlain({ raw, start, end }: { raw: Uint8Array; start: number; end: number }) {
  const plain = new PlainAttribute()
  if (!plain.read(raw, start, end)) return undefined
  const { key, isText, integer, textStart, textEnd } = plain
  return [key, isText ? new TextDecoder().decode(raw.subarray(textStart, textEnd)) : integer]
}

test('texts and whole numbers below 2^28 are plain, under keys of two bytes', () => {
  for (const key of [0, 1, 127, 128, 16_383]) {
    assert.deepEqual(readPlain(attributeOf(key, 'worker-7')), [key, 'worker-7'])
    assert.deepEqual(readPlain(attributeOf(key, '')), [key, ''])
    assert.deepEqual(readPlain(attributeOf(key, 'x'.repeat(16_000))), [key, 'x'.repeat(16_000)])
    for (const integer of [0, 1, 127, 128, 16_384, 2 ** 28 - 1]) {
      assert.deepEqual(readPlain(attributeOf(key, BigInt(integer))), [key, integer])
    }
  }
})

test('what is longer, negative, of another order or kind is not', () => {
  const others = [
    attributeOf(16_384, 'x'),
    attributeOf(1, 'x'.repeat(16_384)),
    attributeOf(1, 2n ** 28n),
    attributeOf(1, -1n),
  ]
  for (const other of others) assert.equal(readPlain(other), undefined)
  const { raw } = attributeOf(1, 'text')
  const body = raw.subarray(1, -1)
  const swapped = [...body.subarray(2), ...body.subarray(0, 2)]
  for (const bytes of [swapped, [...body, 8, 1], [8, 1], [8, 1, 18, 0], [8, 1, 18, 2, 10], [8, 1, 18, 1, 10], []]) {
    assert.equal(readPlain({ raw: Uint8Array.from(bytes), start: 0, end: bytes.length }), undefined)
  }
})

test('what is plain says what the reader of all attributes says', () => {
  const strings = new EntryRanges()
  strings.push(0, 0)
  for (let i = 1; i < 4; i++) strings.push(i - 1, i)
  const keys = new TextEncoder().encode('abc')
  const byte = fc.oneof(fc.constantFrom(0x08, 0x12, 0x0a, 0x18, 1, 2, 3, 4, 0x80), fc.nat({ max: 255 }))
  const arbitrary = fc.oneof(
    fc.array(byte, { maxLength: 14 }),
    fc.record({
      at: fc.nat({ max: 12 }),
      to: byte,
      value: fc.oneof(fc.string(), fc.bigInt({ min: 0n, max: 2n ** 29n })),
    }),
  )
  let plainCount = 0
  fc.assert(
    fc.property(arbitrary, (of) => {
      let bytes = Array.isArray(of) ? of : []
      if (!Array.isArray(of)) {
        const { raw, start, end } = attributeOf(2, of.value)
        bytes = [...raw.subarray(start, end)]
        if (of.at < bytes.length) bytes[of.at] = of.to
      }
      const raw = Uint8Array.from([...keys, ...bytes])
      const plain = new PlainAttribute()
      if (!plain.read(raw, keys.length, raw.length) || plain.key >= strings.count) return
      if (plain.isText && !isValidUtf8(raw, plain.textStart, plain.textEnd)) return
      plainCount++
      const read = readTableAttribute({ raw, strings }, { start: keys.length, end: raw.length })
      const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(raw.subarray(plain.textStart, plain.textEnd))
      const value = plain.isText ? text.replace(/^\ufeff/, '') : String(plain.integer)
      assert.deepEqual(read, { key: plain.key === 0 ? '' : 'abc'[plain.key - 1]!, value })
    }),
    { numRuns: 3_000 },
  )
  assert.ok(plainCount > 200, `${plainCount} were plain`)
})
