import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readOtlpRequest } from '#core/ingest/otlp/request.ts'
import { detectSampleLayout } from '#core/ingest/otlp/sample-layout.ts'
import { ProtobufWriter } from '#core/wire/protobuf.ts'
import { buildOtlp, type OtlpSample, type OtlpVersion } from '../../../support/otlp.ts'

const LINK = { traceId: new Uint8Array(16), spanId: new Uint8Array(8) }

function request(samples: OtlpSample[], version: OtlpVersion): Uint8Array {
  return buildOtlp({ resources: [{ scopes: [{ profiles: [{ samples }] }] }] }, version)
}

const detect = (bytes: Uint8Array): string => detectSampleLayout(readOtlpRequest(bytes)).name

test('each field tells the layout (H4)', () => {
  const told: OtlpSample[] = [
    { stack: ['f'], values: [5n], attributes: { k: 'v' } },
    { stack: ['f'], values: [5n], link: LINK },
    { stack: ['f'], values: [5n] },
    { stack: ['f'], values: [5n, 7n], timestamps: [1n, 2n] },
    { stack: ['f'], timestamps: [1n], link: LINK },
  ]
  for (const sample of told) {
    for (const version of ['1.9', '1.10'] as const) {
      assert.equal(detect(request([sample], version)), version, JSON.stringify(Object.keys(sample)))
    }
  }
})

test('a list in field 2 beside timestamps is attributes only if each number is one', () => {
  const sample: OtlpSample = { stack: ['f'], timestamps: [1n, 2n], attributes: { k: 'v' } }
  assert.equal(detect(request([sample], '1.10')), '1.10')
  // The table has one attribute, so that 5 is none.
  const values: OtlpSample = { stack: ['f'], timestamps: [1n], values: [5n] }
  assert.equal(detect(request([values], '1.9')), '1.9')
})

test('one sample that tells is enough for all; without any both layouts are the same', () => {
  const samples: OtlpSample[] = [
    { stack: ['f'], timestamps: [1n] },
    { stack: ['f'], values: [1n], link: LINK },
  ]
  for (const version of ['1.9', '1.10'] as const) assert.equal(detect(request(samples, version)), version)
  assert.equal(detect(request([{ stack: ['f'], timestamps: [1n] }], '1.9')), '1.10')
})

/** Field 2 of a profile, as async-profiler writes it; a table of two links. */
function bareRequest(...samples: readonly (readonly (readonly [field: number, value: number])[])[]): Uint8Array {
  const nested = (field: number, inner: ProtobufWriter): ProtobufWriter => {
    const out = new ProtobufWriter()
    out.messageField(field, inner)
    return out
  }
  const profile = new ProtobufWriter()
  for (const fields of samples) {
    const sample = new ProtobufWriter()
    for (const [field, value] of fields) sample.varintField(field, value)
    profile.messageField(2, sample)
  }
  const links = new ProtobufWriter()
  for (let i = 0; i < 2; i++) links.messageField(4, new ProtobufWriter())
  const out = nested(1, nested(2, nested(2, profile)))
  out.messageField(2, links)
  return out.copyBytes()
}

test('a bare number in field 4 is a value where it can be no link (H4)', () => {
  assert.equal(
    detect(
      bareRequest([
        [1, 1],
        [4, 30_000_000],
      ]),
    ),
    '1.10',
  )
  assert.equal(
    detect(
      bareRequest([
        [1, 1],
        [2, 1],
        [4, 30_000_000],
      ]),
    ),
    '1.10',
  )
  assert.equal(
    detect(
      bareRequest(
        [
          [1, 1],
          [4, 1],
        ],
        [
          [1, 2],
          [4, 1],
        ],
      ),
    ),
    '1.10',
  )
  assert.equal(
    detect(
      bareRequest([
        [1, 1],
        [2, 30_000_000],
        [4, 1],
      ]),
    ),
    '1.9',
  )
})

test('both layouts in one request are refused', () => {
  const sample: OtlpSample = { stack: ['f'], values: [1n], attributes: { k: 'v' }, link: LINK }
  const [old, current] = [request([sample], '1.9'), request([sample], '1.10')]
  const both = new Uint8Array(old.length + current.length)
  both.set(old)
  both.set(current, old.length)
  assert.throws(() => detect(both), /samples of OTLP 1\.9 and of 1\.10/)
})
