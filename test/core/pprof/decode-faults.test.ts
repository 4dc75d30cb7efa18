/** What the decoder refuses, and the words it does it with. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_LIMITS } from '#core/limits/limits.ts'
import { ProfileDecoder, SAMPLE_TYPES_MAX } from '#core/pprof/decode.ts'
import type { ProfileFault } from '#core/pprof/profile.ts'
import type { ProtobufWriter } from '#core/wire/protobuf.ts'
import { type BuildMessage, byHand, message } from '../../support/profiles.ts'

function faultOf(raw: Uint8Array): ProfileFault {
  const result = new ProfileDecoder().decode(raw, DEFAULT_LIMITS)
  assert.equal(result.ok, false)
  return (result as { fault: ProfileFault }).fault
}

test('string references and the string table are checked', () => {
  const fn = (field: number, value: bigint | number) => (w: ProtobufWriter) =>
    w.messageField(
      5,
      message((f) => {
        f.varintField(1, 1)
        f.varintField(field, value)
      }),
    )
  const label = (field: number) => (w: ProtobufWriter) =>
    w.messageField(
      2,
      message((s) => {
        s.messageField(
          2,
          message((p) => p.varint(1)),
        )
        s.messageField(
          3,
          message((l) => l.varintField(field, 3)),
        )
      }),
    )
  const cases: [string, BuildMessage, RegExp][] = [
    ['function name', fn(2, 3), /function name string index out of range/],
    ['negative', fn(2, -1n), /function name string index out of range/],
    ['2^32', fn(2, 2n ** 32n), /function name string index out of range/],
    ['system name', fn(3, 3), /function system name/],
    ['file name', fn(4, 100_500), /function file name/],
    [
      'mapping file',
      (w) =>
        w.messageField(
          3,
          message((m) => m.varintField(5, 3)),
        ),
      /mapping file name/,
    ],
    [
      'build id',
      (w) =>
        w.messageField(
          3,
          message((m) => m.varintField(6, 3)),
        ),
      /mapping build id/,
    ],
    ['label key', label(1), /sample label name/],
    ['label value', label(2), /sample label value/],
    ['label unit', label(4), /sample label unit/],
    [
      'sample type',
      (w) =>
        w.messageField(
          1,
          message((t) => t.varintField(2, 3)),
        ),
      /sample or period type/,
    ],
    [
      'period type',
      (w) =>
        w.messageField(
          11,
          message((t) => t.varintField(1, 3)),
        ),
      /sample or period type/,
    ],
    [
      'comment',
      (w) => {
        w.tag(13, 0)
        w.varint(3)
      },
      /string index 3 out of range/,
    ],
    [
      'packed comment',
      (w) =>
        w.messageField(
          13,
          message((c) => {
            c.varint(0)
            c.varint(9)
          }),
        ),
      /string index 9/,
    ],
    ['drop frames', (w) => w.varintField(7, 4), /string index 4/],
    ['keep frames', (w) => w.varintField(8, -5n), /out of range/],
    ['default type', (w) => w.varintField(14, 3), /string index 3/],
  ]
  for (const [name, build, expected] of cases) {
    const fault = faultOf(byHand(build))
    assert.equal(fault.reason, 'malformed_profile', name)
    assert.match(fault.message, expected, name)
  }
  assert.match(faultOf(byHand(() => {}, ['hmm', 'a', 'b'])).message, /string 0 should be empty string/)
  assert.match(faultOf(byHand(() => {}, [])).message, /string table is empty/)
  const bad = byHand((w) => w.bytesField(6, new Uint8Array(0)), ['a', 'b']).slice()
  const badUtf8 = message((w) => {
    w.rawBytes(bad)
    w.bytesField(6, new Uint8Array([0xff, 0xfe, 0x20]))
  }).copyBytes()
  assert.match(faultOf(badUtf8).message, /invalid utf8 string 3, hex: fffe20/)
})

test('broken messages name what is broken', () => {
  const cases: [string, Uint8Array, RegExp][] = [
    ['no bytes', new Uint8Array(0), /no bytes/],
    ['text', new TextEncoder().encode('this is not a profile'), /wire type 4/],
    ['a group', byHand((w) => w.tag(20, 3)), /wire type 3/],
    ['wire type 7', byHand((w) => w.tag(20, 7)), /wire type 7/],
    [
      'field 0',
      byHand((w) => {
        w.tag(0, 0)
        w.varint(1)
      }),
      /field number out of range/,
    ],
    [
      'field 0 with a length',
      byHand((w) => {
        w.tag(0, 2)
        w.varint(0)
      }),
      /field number out of range/,
    ],
    ['time as bytes', byHand((w) => w.bytesField(9, new Uint8Array(2))), /wire type 2 of field 9/],
    [
      'sample as varint',
      byHand((w) => {
        w.tag(2, 0)
        w.varint(1)
      }),
      /wire type 0 of field 2/,
    ],
    [
      'value as fixed64',
      byHand((w) =>
        w.messageField(
          2,
          message((s) => {
            s.tag(2, 1)
            s.fixed64(1n)
          }),
        ),
      ),
      /wire type 1 of field 2/,
    ],
    [
      'string past the end',
      byHand((w) => {
        w.tag(6, 2)
        w.varint(1000)
      }),
      /passes the end/,
    ],
    [
      'packed past its sample',
      byHand((w) => w.bytesField(2, new Uint8Array([0x0a, 9, 1]))),
      /packed field .* passes the end/,
    ],
    ['id across the end', byHand((w) => w.bytesField(2, new Uint8Array([0x0a, 1, 0x80]))), /truncated location id/],
    ['value across the end', byHand((w) => w.bytesField(2, new Uint8Array([0x12, 1, 0x80]))), /truncated value/],
    [
      '11-byte value',
      byHand((w) =>
        w.messageField(
          2,
          message((s) => s.bytesField(2, new Uint8Array(11).fill(0x80))),
        ),
      ),
      /more than 10 bytes/,
    ],
    ['line across the end', byHand((w) => w.bytesField(4, new Uint8Array([0x22, 2, 0x08, 0x80]))), /truncated line/],
    [
      'too many types',
      byHand((w) => {
        for (let i = 0; i < SAMPLE_TYPES_MAX; i++) w.bytesField(1, new Uint8Array(0))
      }),
      /more than 256 sample types/,
    ],
  ]
  for (const [name, raw, expected] of cases) {
    const fault = faultOf(raw)
    assert.equal(fault.reason, 'malformed_profile', name)
    assert.match(fault.message, expected, name)
  }
})
