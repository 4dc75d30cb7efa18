/** Checks that a decoder meets any bytes with a value or with `data_loss`, never with another error. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { CinderError } from '#core/errors.ts'
import { ByteReader } from '#core/wire/byte-reader.ts'
import { ByteWriter } from '#core/wire/byte-writer.ts'

export function isDataLoss(error: unknown): boolean {
  return error instanceof CinderError && error.kind === 'data_loss'
}

export function decodesOrFails(decode: () => unknown): boolean {
  try {
    decode()
    return true
  } catch (error) {
    assert.ok(isDataLoss(error), `not data loss: ${String(error)}`)
    return false
  }
}

/** Random bytes, and every single-byte change of valid ones. */
export function assertSafeDecoder(valid: Uint8Array, decode: (input: ByteReader) => unknown): void {
  assert.ok(
    decodesOrFails(() => decode(new ByteReader(valid, 'section x'))),
    'the valid bytes decode',
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      decodesOrFails(() => decode(new ByteReader(bytes, 'section x')))
    }),
  )
  for (let at = 0; at < valid.length; at++) {
    for (const value of [0, 1, 0x7f, 0x80, 0xff]) {
      const bytes = valid.slice()
      bytes[at] = value
      decodesOrFails(() => decode(new ByteReader(bytes, 'section x')))
    }
    assert.ok(!decodesOrFails(() => decode(new ByteReader(valid.subarray(0, at), 'section x'))), `cut at ${at}`)
  }
}

export function written(write: (out: ByteWriter) => void): Uint8Array {
  const out = new ByteWriter()
  write(out)
  return out.copy()
}
