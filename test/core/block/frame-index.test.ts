import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CHUNK_ENCODING } from '#core/block/format.ts'
import {
  assignOffsets,
  chunksInOrder,
  type ColumnChunk,
  columnCount,
  decodeFrameIndex,
  encodeFrameIndex,
  type Frame,
} from '#core/block/frame-index.ts'
import { ByteReader } from '#core/wire/byte-reader.ts'
import { ARBITRARY_GROUPS, makeDataset, WINDOW_START_NANOS } from '../../support/datasets.ts'
import { assertSafeDecoder, written } from '../../support/block-faults.ts'

const samples = (types: number) => [{ stack: ['main'], values: Array.from({ length: types }, () => 1n) }]
const { headers, groups } = makeDataset({
  series: [[]],
  groups: ARBITRARY_GROUPS.slice(0, 2),
  profiles: [0, 0, 0, 1].map((group, i) => ({
    series: 0,
    group,
    timeNanos: WINDOW_START_NANOS,
    id: i,
    samples: samples(2 - group),
  })),
})

function chunk(encoding: number, storedBytes = 0, more: Partial<ColumnChunk> = {}): ColumnChunk {
  return {
    encoding,
    zstd: false,
    divisor: 0,
    reference: 0,
    storedBytes,
    rawBytes: storedBytes,
    crc: storedBytes * 77,
    offset: 0,
    ...more,
  }
}

const zero = (): ColumnChunk => chunk(CHUNK_ENCODING.zero)

function makeFrames(): Frame[] {
  const frame = (group: number, firstHeader: number, headerCount: number, columns: ColumnChunk[]): Frame => ({
    group,
    firstHeader,
    headerCount,
    rowStart: headers.rowStart[firstHeader]!,
    rowCount: headerCount,
    columns,
  })
  const { varint32, varint64, same, sparse64 } = CHUNK_ENCODING
  const frames = [
    frame(0, 0, 2, [
      chunk(varint32, 3),
      chunk(varint64, 5, { divisor: 7 }),
      chunk(same, 0, { divisor: 10_000_000 }),
      zero(),
      zero(),
      zero(),
    ]),
    frame(0, 2, 1, [
      chunk(varint32, 11),
      zero(),
      chunk(varint32, 13, { divisor: 2 ** 52, zstd: true, rawBytes: 500 }),
      zero(),
      zero(),
      zero(),
    ]),
    frame(1, 3, 1, [chunk(varint32, 17), chunk(varint32, 19, { divisor: 1 }), chunk(sparse64, 23), zero(), zero()]),
  ]
  assignOffsets(frames)
  return frames
}

test('frames come back with their offsets', () => {
  const frames = makeFrames()
  const bytes = written((out) => encodeFrameIndex(frames, groups, out))
  assert.deepEqual(decodeFrameIndex(new ByteReader(bytes, 'x'), { groups, headers, framesBytes: 91 }), frames)
  assert.equal(columnCount(groups[0]!), 6)
})

test('chunks lie by group, column, frame', () => {
  const frames = makeFrames()
  const order = [...chunksInOrder(frames)].map(({ frame, column }) => frames[frame]!.columns[column]!.storedBytes)
  assert.deepEqual(
    order.filter((bytes) => bytes > 0),
    [3, 11, 5, 13, 17, 19, 23],
  )
  assert.deepEqual(
    frames.map(({ columns }) => columns[0]!.offset),
    [0, 3, 32],
  )
})

test('what cannot be is refused', () => {
  const decode = (change: (frames: Frame[]) => void, framesBytes?: number): unknown => {
    const frames = makeFrames()
    change(frames)
    const total = framesBytes ?? assignOffsets(frames)
    const bytes = written((out) => encodeFrameIndex(frames, groups, out))
    return decodeFrameIndex(new ByteReader(bytes, 'section x'), { groups, headers, framesBytes: total })
  }
  const column = (frames: Frame[], index: number, value: ColumnChunk): void => void (frames[0]!.columns[index] = value)
  const header = (frames: Frame[], index: number, headerCount: number): void =>
    void (frames[index] = { ...frames[index]!, headerCount })
  assert.throws(() => decode(() => {}, 92), /chunks take 91 bytes of 92/)
  assert.throws(() => decode((f) => header(f, 0, 0)), /frame 0 is empty/)
  assert.throws(() => decode((f) => header(f, 2, 2)), /ends past header 4/)
  assert.throws(() => decode((f) => header(f, 1, 2)), /spans two groups/)
  assert.throws(() => decode((f) => f.pop()), /hold 3 of 4 headers/)
  assert.throws(
    () => decode((f) => column(f, 2, chunk(CHUNK_ENCODING.same, 0, { divisor: 1, reference: 1 }))),
    /refers to type 1/,
  )
  assert.throws(() => decode((f) => column(f, 1, chunk(CHUNK_ENCODING.varint32, 5))), /divisor 0/)
  assert.throws(() => decode((f) => column(f, 0, chunk(CHUNK_ENCODING.sparse64, 5))), /not one of column 0/)
  assert.throws(() => decode((f) => column(f, 3, chunk(CHUNK_ENCODING.varint32, 5))), /not one of column 3/)
  assert.throws(() => decode((f) => column(f, 1, chunk(9, 5))), /not one of column 1/)
  assert.throws(() => decode((f) => column(f, 1, chunk(0x20 | CHUNK_ENCODING.zero))), /unknown encoding 32/)
  assert.throws(
    () => decode((f) => column(f, 1, chunk(CHUNK_ENCODING.varint32, 5, { divisor: 1, zstd: true, rawBytes: 2 ** 31 }))),
    /at most 1073741824/,
  )
})

test('any bytes are an index or data loss', () => {
  assertSafeDecoder(
    written((out) => encodeFrameIndex(makeFrames(), groups, out)),
    (input) => decodeFrameIndex(input, { groups, headers, framesBytes: 91 }),
  )
})

test('rows that no bytes of stack ids hold are refused before they are allocated', () => {
  const frames = makeFrames()
  const bytes = written((out) => encodeFrameIndex(frames, groups, out))
  const framesBytes = assignOffsets(frames)
  const decode = (rows: number) => {
    const rowLength = headers.rowLength.slice()
    rowLength[0] = rows
    return decodeFrameIndex(new ByteReader(bytes, 'x'), { groups, headers: { ...headers, rowLength }, framesBytes })
  }
  // Frame 0 has two headers, the second of one row, and 3 bytes of stack ids.
  assert.equal(decode(2)[0]!.rowCount, 3)
  assert.throws(() => decode(3), /frame 0 has 4 rows, but 3 bytes of stack ids/)
  assert.throws(() => decode(1 << 24), /frame 0 has 16777217 rows, but 3 bytes of stack ids/)
})
