import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  copiedBytes,
  field64Bytes,
  fieldBytes,
  messageBytes,
  varint64Bytes,
  varintBytes,
} from '#core/ingest/otlp/pprof-size.ts'
import { ProtobufWriter } from '#core/wire/protobuf.ts'

const lengthOf = (write: (out: ProtobufWriter) => void): number => {
  const out = new ProtobufWriter()
  write(out)
  return out.length
}

/** Of every length of a varint. */
const arbitraryBits = fc
  .integer({ min: 0, max: 64 })
  .chain((bits) => fc.bigInt({ min: 0n, max: (1n << BigInt(bits)) - 1n }))

test('a size is what the writer of protobuf writes', () => {
  fc.assert(
    fc.property(arbitraryBits, (value) => {
      const [lo, hi] = [Number(value & 0xffffffffn), Number(value >> 32n)]
      assert.equal(
        varint64Bytes(lo, hi),
        lengthOf((out) => out.varintBigInt(value)),
      )
      assert.equal(
        field64Bytes(lo, hi),
        lengthOf((out) => out.varintField(1, value)),
      )
      assert.equal(
        varintBytes(lo),
        lengthOf((out) => out.varint(lo)),
      )
      assert.equal(
        fieldBytes(lo),
        lengthOf((out) => out.varintField(15, lo)),
      )
    }),
  )
  for (const length of [0, 1, 127, 128, 16_383, 16_384]) {
    assert.equal(
      messageBytes(length),
      lengthOf((out) => out.bytesField(4, new Uint8Array(length))),
    )
  }
  assert.deepEqual([copiedBytes(0), copiedBytes(1), copiedBytes(10)], [0, 2, 11])
})
