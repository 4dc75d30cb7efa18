import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeSums, encodeSums } from '#core/block/sum-section.ts'
import { ByteReader } from '#core/wire/byte-reader.ts'
import { assertSafeDecoder, written } from '../../support/block-faults.ts'

const sums = [
  { group: 0, series: 0, type: 0, total: 0n, mix32: 0, mixPrime: 0 },
  { group: 0, series: 300, type: 1, total: (1n << 63n) - 1n, mix32: 0xffffffff, mixPrime: 67_108_858 },
  { group: 2, series: 1, type: 0, total: -1n, mix32: 1, mixPrime: 1 },
]

test('sums come back, totals exact', () => {
  const bytes = written((out) => encodeSums(sums, out))
  assert.deepEqual(decodeSums(new ByteReader(bytes, 'x')), sums)
})

test('any bytes are sums or data loss', () => {
  assertSafeDecoder(
    written((out) => encodeSums(sums, out)),
    decodeSums,
  )
})
