import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EntryRanges } from '#core/ingest/otlp/request.ts'
import { RequestStrings, STRING_LANES } from '#core/ingest/otlp/request-strings.ts'

function tableOf(...texts: (string | Uint8Array)[]) {
  const ranges = new EntryRanges()
  const parts: Uint8Array[] = []
  let at = 0
  for (const text of texts) {
    const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text
    ranges.push(at, at + bytes.length)
    parts.push(bytes)
    at += bytes.length
  }
  return new RequestStrings(new Uint8Array(Buffer.concat(parts)), ranges)
}

const lanesOf = (strings: RequestStrings, number: number): number[] => {
  strings.look(number)
  return [...strings.lanes.array.subarray(number * STRING_LANES, (number + 1) * STRING_LANES)]
}

test('texts have numbers behind those of the table, one each, wherever their bytes lie', () => {
  const strings = tableOf('', 'span_id', 'value')
  const span = strings.numberOf('span_id')
  assert.equal(span, 3)
  assert.equal(strings.numberOf('span_id'), span)
  assert.equal(strings.numberAt(strings.start.array[1]!, strings.end.array[1]!), span)
  const value = strings.numberAt(strings.start.array[2]!, strings.end.array[2]!)
  assert.equal(value, 4)
  assert.equal(strings.numberOf('value'), value)
  assert.deepEqual([strings.count, strings.lengthOf(span), strings.lengthOf(0)], [5, 7, 0])
  const many = Array.from({ length: 3_000 }, (_, i) => strings.numberOf(`text ${i}`))
  assert.equal(new Set(many).size, 3_000)
  const read = (number: number) =>
    new TextDecoder().decode(strings.raw.subarray(strings.start.array[number], strings.end.array[number]))
  assert.deepEqual([read(1), read(span), read(many[2_999]!)], ['span_id', 'span_id', 'text 2999'])
})

test('what is no UTF-8 is found, once and every time', () => {
  const strings = tableOf('größe', Uint8Array.of(0x61, 0xff), 'ascii', Uint8Array.of(0xc3))
  assert.deepEqual(
    [0, 1, 2, 3, 1].map((number) => strings.look(number)),
    [true, false, true, false, false],
  )
})

test('lanes follow from content alone: any changed, added or missing byte changes all four', () => {
  const texts = ['', 'a', 'b', 'ab', 'ba', 'main.go', 'main.gp', 'nain.go', 'main.go\0', 'main.go\0\0', '\0', '\0\0']
  const strings = tableOf(...texts)
  const lanes = texts.map((_, i) => lanesOf(strings, i))
  for (let lane = 0; lane < STRING_LANES; lane++) {
    assert.equal(new Set(lanes.map((each) => each[lane])).size, texts.length, `lane ${lane}`)
  }
  const elsewhere = tableOf('before', ...texts)
  assert.deepEqual(
    texts.map((_, i) => lanesOf(elsewhere, i + 1)),
    lanes,
  )
})

test('an integer is its digits, and equal to the text that they are', () => {
  const strings = tableOf('')
  for (const value of [0, 7, 10, 4_294_967_295, 7, 1_000_000]) {
    const number = strings.numberOfDigits(value)
    assert.equal(strings.numberOf(String(value)), number)
    const bytes = strings.raw.subarray(strings.start.array[number], strings.end.array[number])
    assert.equal(new TextDecoder().decode(bytes), String(value))
  }
  assert.equal(strings.count, 6)
  const first = strings.numberOfDigits(123)
  assert.equal(strings.numberOf('456'), first + 1)
  assert.equal(strings.numberOfDigits(123), first)
})
