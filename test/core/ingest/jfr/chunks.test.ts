import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { findParts, readChunkHeader, scaleTicks } from '#core/ingest/jfr/chunks.ts'
import { JfrCursor } from '#core/ingest/jfr/cursor.ts'
import { writeJfr } from '../../../support/jfr-writer.ts'

function cursorOf(bytes: Uint8Array): JfrCursor {
  const cursor = new JfrCursor()
  cursor.begin(bytes, 0, bytes.length)
  return cursor
}

test('headers say where a chunk ends, how integers lie, and how its clock ticks', () => {
  const bytes = writeJfr([
    { events: [], ticksPerSecond: 2_800_000_000n },
    { events: [], isCompressed: false },
  ])
  const cursor = cursorOf(bytes)
  const first = readChunkHeader(cursor, 0)
  assert.deepEqual([first.start, first.isCompressed, first.ticksPerSecond], [0, true, 2_800_000_000])
  const second = readChunkHeader(cursor, first.end)
  assert.deepEqual([second.isCompressed, second.end], [false, bytes.length])
})

test('a walk finds the metadata and every checkpoint, wherever they lie', () => {
  for (const isPoolsFirst of [false, true]) {
    const bytes = writeJfr([{ events: [{ type: 'jdk.ThreadPark' }], checkpoints: 3, isPoolsFirst }])
    const cursor = cursorOf(bytes)
    const { metadata, checkpoints } = findParts(cursor, readChunkHeader(cursor, 0))
    assert.equal(checkpoints.length, 3)
    assert.ok(metadata.start < metadata.end)
    assert.equal(metadata.start < checkpoints[0]!.start, !isPoolsFirst)
  }
})

test('a chunk without metadata is a fault', () => {
  const bytes = writeJfr([{ events: [] }]).slice(0, 68)
  new DataView(bytes.buffer).setBigUint64(8, 68n)
  const cursor = cursorOf(bytes)
  assert.throws(() => findParts(cursor, readChunkHeader(cursor, 0)), /the chunk at byte 0 has no metadata/)
})

test('ticks become nanoseconds, exact to one, negative ones stay', () => {
  fc.assert(
    fc.property(fc.bigInt(0n, 2n ** 62n), fc.integer({ min: 1_000_000, max: 4_000_000_000 }), (ticks, perSecond) => {
      const lanes = { lo: Number(ticks & 0xffffffffn), hi: Number(ticks >> 32n) }
      scaleTicks(lanes, perSecond)
      const exact = (ticks * 1_000_000_000n) / BigInt(perSecond)
      const scaled = (BigInt(lanes.hi) << 32n) | BigInt(lanes.lo)
      const distance = BigInt.asUintN(63, exact) - scaled
      assert.ok(distance >= -1n && distance <= 1n, `${ticks} at ${perSecond}: ${scaled} for ${exact}`)
    }),
  )
  const negative = { lo: 5, hi: 0xffffffff }
  scaleTicks(negative, 1_000_000)
  assert.deepEqual(negative, { lo: 5, hi: 0xffffffff })
})
