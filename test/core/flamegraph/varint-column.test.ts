import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { VarintReader, VarintWriter } from '#core/flamegraph/varint-column.ts'
import { getBigInt } from '#core/wire/int64.ts'

const fault = (why: string): Error => new Error(why)

/** The textbook way, in bigint. */
function slowVarint(value: bigint): number[] {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, value)
  while (rest > 127n) {
    bytes.push(Number(rest & 127n) | 128)
    rest >>= 7n
  }
  return [...bytes, Number(rest)]
}

const uint32 = fc.oneof(fc.nat(300), fc.integer({ min: 0, max: 0xffffffff }))
const int64 = fc.oneof(fc.bigInt(0n, 300n), fc.bigInt(0n, 2n ** 40n), fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n))

describe('varint columns', () => {
  it('write what the textbook writes and read it back', () => {
    fc.assert(
      fc.property(fc.array(uint32, { maxLength: 20 }), fc.array(int64, { maxLength: 20 }), (small, large) => {
        const writer = new VarintWriter(0)
        for (const value of small) writer.uint32(value)
        for (const value of large) writer.uint64(Number(value & 0xffffffffn), Number((value >> 32n) & 0xffffffffn))
        const bytes = writer.take()
        assert.deepEqual(
          [...bytes],
          [...small.flatMap((value) => slowVarint(BigInt(value))), ...large.flatMap(slowVarint)],
        )

        const reader = new VarintReader(bytes, fault)
        assert.deepEqual([...reader.uint32Column(small.length + 1, 1)], [0, ...small])
        const column = reader.uint64Column(large.length, 0)
        assert.deepEqual(
          large.map((_, i) => getBigInt(column, i)),
          large,
        )
        reader.expectEnd()
      }),
    )
  })

  it('refuse every truncation', () => {
    const writer = new VarintWriter(0)
    for (const value of [1, 200, 70_000, 0xffffffff]) writer.uint32(value)
    for (const hi of [0, 1, 0xffffffff]) writer.uint64(300, hi)
    const bytes = writer.take()
    for (let length = 0; length < bytes.length; length++) {
      const reader = new VarintReader(bytes.subarray(0, length), fault)
      assert.throws(() => {
        reader.uint32Column(4, 0)
        reader.uint64Column(3, 0)
      }, /truncated/)
    }
  })

  it('refuse values over their width and skips past the end', () => {
    assert.throws(() => new VarintReader(new Uint8Array([255, 255, 255, 255, 16]), fault).uint32(), /over 32 bits/)
    const tooWide = new Uint8Array([255, 255, 255, 255, 255, 255, 255, 255, 255, 2])
    assert.throws(() => new VarintReader(tooWide, fault).uint64Column(1, 0), /over 64 bits/)
    const endless = new Uint8Array(12).fill(255)
    assert.throws(() => new VarintReader(endless, fault).uint64Column(1, 0), /over 64 bits/)
    assert.throws(() => new VarintReader(new Uint8Array(3), fault).skip(4), /truncated/)
    assert.throws(() => new VarintReader(new Uint8Array(3), fault).expectEnd(), /3 bytes after the end/)
  })

  it('grow as they are written', () => {
    const writer = new VarintWriter(0)
    const body = new Uint8Array(1000).fill(7)
    writer.byte(1)
    writer.bytes(body)
    const reader = new VarintReader(writer.take(), fault)
    assert.equal(reader.byte(), 1)
    assert.equal(reader.remaining, 1000)
    assert.equal(reader.skip(1000), 1)
    assert.throws(() => reader.byte(), /truncated/)
  })
})
