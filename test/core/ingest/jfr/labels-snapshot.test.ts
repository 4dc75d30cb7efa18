import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LabelsSnapshot, wideKey } from '#core/ingest/jfr/labels-snapshot.ts'
import { ProtobufWriter } from '#core/wire/protobuf.ts'

type Fields = readonly (readonly [field: number, value: number | bigint | string | ProtobufWriter])[]

function message(...fields: Fields): ProtobufWriter {
  const out = new ProtobufWriter()
  for (const [field, value] of fields) {
    if (value instanceof ProtobufWriter) out.messageField(field, value)
    else if (typeof value === 'string') out.stringField(field, value)
    else out.varintField(field, value)
  }
  return out
}

const label = (name: number, value: number): readonly [number, ProtobufWriter] => [1, message([1, name], [2, value])]

test('contexts have labels by the numbers of strings; what is not there is left out', () => {
  const context = message(label(1, 2), label(3, 2), label(1, 99), [9, 'not known'])
  const snapshot = new LabelsSnapshot(
    message(
      [1, message([1, 7], [2, context])],
      [2, message([1, 1], [2, 'path'])],
      [2, message([1, 2], [2, '/a'])],
      [5, 'not known'],
    ).copyBytes(),
  )
  assert.deepEqual(snapshot.labelsOf(7, 0), [{ name: 'path', value: '/a' }])
  assert.equal(snapshot.labelsOf(8, 0), undefined)
  assert.equal(snapshot.string(2, 0), '/a')
  assert.equal(snapshot.string(4, 0), '')
})

test('keys are 64 bits', () => {
  const context = message(label(1, 1))
  const key = 2n ** 63n + 5n
  const snapshot = new LabelsSnapshot(
    message([1, message([1, key], [2, context])], [2, message([1, 1], [2, 'x'])]).copyBytes(),
  )
  assert.deepEqual(snapshot.labelsOf(5, 0x80000000), [{ name: 'x', value: 'x' }])
  assert.equal(snapshot.labelsOf(5, 0), undefined)
  assert.equal(wideKey(5, 1), 2 ** 32 + 5)
  assert.equal(wideKey(0, 0x200000), 2n ** 53n)
})

test('empty bytes are an empty snapshot; what is no message is named', () => {
  assert.equal(new LabelsSnapshot().labelsOf(0, 0), undefined)
  const faulty: readonly Uint8Array[] = [
    new TextEncoder().encode('not protobuf'),
    Uint8Array.of(0x0a, 0x05, 0x08),
    message([1, message([2, message([1, 'ab'])])]).copyBytes(),
    Uint8Array.of(0x12, 0x04, 0x12, 0x02, 0xff, 0xfe),
  ]
  for (const bytes of faulty) {
    assert.throws(() => new LabelsSnapshot(bytes), {
      kind: 'invalid_argument',
      message: /form part "labels" cannot be read/,
    })
  }
})
