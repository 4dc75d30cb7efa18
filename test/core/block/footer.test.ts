import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CinderError } from '#core/errors.ts'
import {
  checkHeader,
  decodeFooter,
  encodeFooter,
  encodeHeader,
  footerRange,
  type ObjectFooter,
} from '#core/block/footer.ts'
import { FOOTER_TAIL_BYTES } from '#core/block/format.ts'
import { crc32c } from '#core/wire/crc32c.ts'
import { isDataLoss } from '../../support/block-faults.ts'

const dataset = fc.record(
  {
    tenant: fc.constantFrom('a', 'b'),
    service: fc.string({ maxLength: 5 }),
    windowStartMs: fc.integer(),
    windowMs: fc.nat(),
    minTimeMs: fc.integer(),
    spanMs: fc.nat(),
    sizeBytes: fc.maxSafeNat().map((n) => n % 2 ** 40),
    profileCount: fc.nat(),
    sampleCount: fc.maxSafeNat(),
  },
  { noNullPrototype: true },
)
const footers = fc
  .record(
    {
      objectId: fc.string(),
      level: fc.nat({ max: 9 }),
      createdMs: fc.nat(),
      jobId: fc.string(),
      epoch: fc.maxSafeNat(),
      sources: fc.array(
        fc.record({ objectId: fc.string(), datasets: fc.array(fc.nat(), { maxLength: 4 }) }, { noNullPrototype: true }),
      ),
      datasets: fc.array(dataset, { maxLength: 5 }),
    },
    { noNullPrototype: true },
  )
  .map((given): { footer: ObjectFooter; sizeBytes: number } => {
    let offset = 8
    const datasets = given.datasets.map(({ spanMs, ...rest }, index) => {
      const place = { index, offset, maxTimeMs: rest.minTimeMs + spanMs, headBytes: Math.floor(rest.sizeBytes / 2) }
      offset += rest.sizeBytes
      return { ...rest, ...place }
    })
    const footer = { ...given, datasets }
    return { footer, sizeBytes: offset + encodeFooter(footer).length }
  })

test('a footer restores everything, found from the tail', () => {
  fc.assert(
    fc.property(footers, ({ footer, sizeBytes }) => {
      const bytes = encodeFooter(footer)
      assert.deepEqual(footerRange(sizeBytes, bytes.subarray(-16)), {
        offset: sizeBytes - bytes.length,
        lengthBytes: bytes.length,
      })
      assert.deepEqual(decodeFooter(bytes, sizeBytes), footer)
    }),
  )
})

const EMPTY: ObjectFooter = { objectId: 'x', level: 0, createdMs: 1, jobId: '', epoch: 0, sources: [], datasets: [] }

/** Bytes with the checksum made right again. */
function resealed(bytes: Uint8Array): Uint8Array {
  const out = bytes.slice()
  new DataView(out.buffer).setUint32(out.length - 8, crc32c(out.subarray(0, out.length - 8)), true)
  return out
}

test('a later version is refused as unknown, not as damage', () => {
  const bytes = encodeFooter(EMPTY)
  bytes[bytes.length - 12] = 2
  assert.throws(() => decodeFooter(bytes, bytes.length + 8), isDataLoss)
  assert.throws(
    () => decodeFooter(resealed(bytes), bytes.length + 8),
    (error) =>
      error instanceof CinderError &&
      error.kind === 'unimplemented' &&
      /version 2, this reader knows 1/.test(error.message),
  )
})

test('fields of a later minor version are skipped', () => {
  const bytes = encodeFooter(EMPTY)
  const longer = new Uint8Array(bytes.length + 3)
  longer.set(bytes.subarray(0, bytes.length - 16))
  longer.set(bytes.subarray(-16), bytes.length - 13)
  new DataView(longer.buffer).setUint32(longer.length - 16, longer.length - 16, true)
  assert.deepEqual(decodeFooter(resealed(longer), longer.length + 8), EMPTY)
})

test('lengths that cannot be are refused', () => {
  const bytes = encodeFooter(EMPTY)
  const withLength = (length: number): Uint8Array => {
    const out = bytes.slice()
    new DataView(out.buffer).setUint32(out.length - 16, length, true)
    return out
  }
  assert.throws(() => footerRange(1000, new Uint8Array(15)), isDataLoss)
  assert.throws(() => footerRange(1000, withLength(977)), /977 bytes, at most 976/)
  assert.throws(() => footerRange(2 ** 40, withLength(0xffffffff)), /at most 67108864/)
  assert.throws(() => decodeFooter(bytes.slice(1), bytes.length + 8), isDataLoss)
  // The object is longer than its datasets: a gap that nothing covers.
  assert.throws(() => decodeFooter(bytes, bytes.length + 9), /datasets end at byte 8, the footer starts at 9/)
})

test('a crafted footer with a right checksum is a footer or data loss', () => {
  const one = { index: 0, tenant: 't', service: 's', windowStartMs: 0, windowMs: 1, minTimeMs: 0, maxTimeMs: 1 }
  const datasets = [{ ...one, offset: 8, sizeBytes: 100, headBytes: 50, profileCount: 1, sampleCount: 1 }]
  const bytes = encodeFooter({ ...EMPTY, sources: [{ objectId: 'y', datasets: [1, 2] }], datasets })
  for (let at = 0; at < bytes.length - 16; at++) {
    for (const value of [0, 1, 0x7f, 0x80, 0xff]) {
      const crafted = bytes.slice()
      crafted[at] = value
      try {
        decodeFooter(resealed(crafted), bytes.length + 108)
      } catch (error) {
        assert.ok(isDataLoss(error), String(error))
      }
    }
  }
})

test('a header is eight exact bytes', () => {
  checkHeader(encodeHeader())
  assert.equal(encodeHeader().length, 8)
  for (let at = 0; at < 8; at++) {
    const bytes = encodeHeader()
    bytes[at] = bytes[at]! ^ 0x10
    assert.throws(() => checkHeader(bytes), /^CinderError: object header: /)
  }
  assert.throws(() => checkHeader(encodeHeader().subarray(0, 7)), isDataLoss)
})

test('the first read of the tail holds the footer of 250 datasets', () => {
  const datasets = Array.from({ length: 250 }, (_, index) => ({
    index,
    tenant: 'tenant-1',
    service: `namespace/service-${index}`,
    windowStartMs: 1_717_236_000_000,
    windowMs: 3_600_000,
    minTimeMs: 1_717_236_000_000,
    maxTimeMs: 1_717_239_599_999,
    offset: 8 + index * 40_000,
    sizeBytes: 40_000,
    headBytes: 900,
    profileCount: 30,
    sampleCount: 9000,
  }))
  assert.ok(encodeFooter({ ...EMPTY, datasets }).length <= FOOTER_TAIL_BYTES)
})
