import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hexOf } from '#core/ingest/otlp/hex.ts'

test('every byte is two digits', () => {
  assert.equal(hexOf(Uint8Array.of(0, 15, 16, 255)), '000f10ff')
  assert.equal(hexOf(new Uint8Array(0)), '')
})
