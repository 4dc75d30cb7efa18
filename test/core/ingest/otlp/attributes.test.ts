import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  checkIndex,
  dictionaryText,
  KnownTexts,
  readKeyValue,
  readTableAttribute,
  type StringTable,
} from '#core/ingest/otlp/attributes.ts'
import { CinderError } from '#core/errors.ts'
import { EntryRanges, readOtlpRequest } from '#core/ingest/otlp/request.ts'
import { ProtobufWriter } from '#core/wire/protobuf.ts'
import { buildOtlp, type OtlpValue } from '../../../support/otlp.ts'

function readValue(value: OtlpValue) {
  const raw = buildOtlp({ resources: [{ attributes: { key: value }, scopes: [] }] })
  const request = readOtlpRequest(raw)
  return readKeyValue({ raw, strings: request.dictionary.strings }, request.resources[0]!.attributes[0]!)
}

test('single values are text', () => {
  const cases: [OtlpValue, string | undefined][] = [
    ['größe', 'größe'],
    ['', ''],
    [-(2n ** 63n), '-9223372036854775808'],
    [true, 'true'],
    [false, 'false'],
    [0.1, '0.1'],
    [{ reference: 'by index' }, 'by index'],
    [['only'], 'only'],
    [[[['deep']]], 'deep'],
    [['one', 'two'], undefined],
    [[], undefined],
  ]
  for (const [value, text] of cases) assert.deepEqual(readValue(value), { key: 'key', value: text })
})

test('lists in lists are looked into to a depth', () => {
  let value: OtlpValue = 'x'
  for (let i = 0; i < 1_000; i++) value = [value]
  assert.deepEqual(readValue(value), { key: 'key', value: undefined })
})

test('maps and bytes are left out', () => {
  for (const field of [6, 7]) {
    const [pair, value] = [new ProtobufWriter(), new ProtobufWriter()]
    value.bytesField(field, new Uint8Array(0))
    pair.stringField(1, 'k')
    pair.messageField(2, value)
    const raw = pair.copyBytes()
    const { dictionary } = readOtlpRequest(buildOtlp({ resources: [{ scopes: [] }] }))
    const read = readKeyValue({ raw, strings: dictionary.strings }, { start: 0, end: raw.length })
    assert.deepEqual(read, { key: 'k', value: undefined })
  }
})

test('an index outside of its table is refused with its size; a string must be UTF-8', () => {
  const raw = buildOtlp({ resources: [{ scopes: [] }] })
  const table = { raw, strings: readOtlpRequest(raw).dictionary.strings }
  assert.equal(dictionaryText(table, 0), '')
  assert.throws(() => dictionaryText(table, 1), /invalid string index: 1 \(the table has 1 entries\)/)
  assert.throws(() => checkIndex(7, 7, 'stack'), /invalid stack index: 7/)
  const bad = Uint8Array.of(0x0a, 0x02, 0xff, 0xfe)
  assert.throws(() => readKeyValue({ ...table, raw: bad }, { start: 0, end: 4 }), /not UTF-8/)
  assert.throws(
    () => readTableAttribute({ ...table, raw: Uint8Array.of(0x08, 0x09) }, { start: 0, end: 2 }),
    /invalid string index: 9/,
  )
})

test('a string that is no UTF-8 is looked at once', () => {
  const raw = Uint8Array.of(0x61, 0xff)
  const strings = new EntryRanges()
  strings.push(0, 2)
  const table: StringTable = { raw, strings, texts: [] }
  const faults = [0, 1].map(() => {
    try {
      return dictionaryText(table, 0)
    } catch (error) {
      return error
    }
  })
  assert.match(String(faults[0]), /not UTF-8/)
  assert.equal(faults[1], faults[0])
})

test('texts that come again are the same, and others that share their place are not', () => {
  const texts = Array.from({ length: 3_000 }, (_, i) => `text ${i % 1_500} ${'ö'.repeat(i % 40)}`)
  const encoded = texts.map((text) => new TextEncoder().encode(text))
  const raw = new Uint8Array(Buffer.concat(encoded))
  const known = new KnownTexts()
  let at = 0
  for (const [i, { length }] of encoded.entries()) {
    assert.equal(known.textOf(raw, at, at + length), texts[i])
    assert.equal(known.textOf(raw, at, at + length), texts[i])
    at += length
  }
  const bad = Uint8Array.of(0x61, 0xff)
  for (let i = 0; i < 2; i++) assert.ok(new KnownTexts().textOf(bad, 0, 2) instanceof CinderError)
})
