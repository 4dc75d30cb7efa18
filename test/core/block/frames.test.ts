import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Frame } from '#core/block/frame-index.ts'
import { CHUNK_ENCODING, FRAME_ROWS_HOUR_CUT, FRAME_ROWS_TARGET } from '#core/block/format.ts'
import {
  decodeStackIds,
  decodeValues,
  encodeFrames,
  frameHasContext,
  type FrameSource,
  neededColumns,
  planFrames,
} from '#core/block/frames.ts'
import type { Dataset } from '#core/block/dataset.ts'
import { allocateInt64Column, getBigInt, setBigInt } from '#core/wire/int64.ts'
import {
  ARBITRARY_GROUPS,
  CPU_GROUP,
  makeDataset,
  type SampleSpec,
  WINDOW_START_NANOS,
} from '../../support/datasets.ts'
import { TEST_CODEC } from '../../support/block-objects.ts'

const HOUR = 3_600_000_000_000n

function headersOf(list: readonly { group: number; hour: number; rows: number }[]): Parameters<typeof planFrames>[0] {
  const timeNanos = allocateInt64Column(list.length)
  list.forEach(({ hour }, h) => setBigInt(timeNanos, h, WINDOW_START_NANOS + BigInt(hour) * HOUR))
  const seen = [0, 0]
  const rowStart = list.map(({ group, rows }) => (seen[group] = seen[group]! + rows) - rows)
  return {
    count: list.length,
    group: Uint32Array.from(list, ({ group }) => group),
    timeNanos,
    rowStart: Uint32Array.from(rowStart),
    rowLength: Uint32Array.from(list, ({ rows }) => rows),
  }
}

test('frames hold whole headers of one group, up to the target', () => {
  const row = (rows: number, group = 0, hour = 0) => ({ group, hour, rows })
  const cut = (list: Parameters<typeof headersOf>[0]): number[] =>
    planFrames(headersOf(list)).map((plan) => plan.headerCount)
  assert.deepEqual(cut([]), [])
  assert.deepEqual(cut([row(0)]), [1])
  assert.deepEqual(cut([row(1), row(1), row(1, 1)]), [2, 1])
  assert.deepEqual(cut([row(FRAME_ROWS_TARGET - 1), row(1), row(1)]), [2, 1])
  assert.deepEqual(cut([row(5), row(FRAME_ROWS_TARGET * 3), row(5)]), [1, 1, 1])
  assert.deepEqual(cut([row(FRAME_ROWS_HOUR_CUT), row(1, 0, 1), row(1, 0, 2)]), [1, 2])
  assert.deepEqual(cut([row(FRAME_ROWS_HOUR_CUT - 1), row(1, 0, 1), row(1, 0, 1)]), [3])
})

test('frames cover the rows of each group without a gap', () => {
  const plans = planFrames(headersOf([40_000, 30_000, 1, 70_000].flatMap((rows) => [{ group: 0, hour: 0, rows }])))
  assert.deepEqual(
    plans.map(({ rowStart, rowCount }) => [rowStart, rowCount]),
    [
      [0, 40_000],
      [40_000, 30_001],
      [70_001, 70_000],
    ],
  )
})

function datasetOf(values: readonly (readonly bigint[])[]): Dataset {
  const samples = values.map((row, i): SampleSpec => ({ stack: [...String(i)], values: row }))
  const profile = { series: 0, group: 0, timeNanos: WINDOW_START_NANOS, id: 1, samples }
  return makeDataset({ series: [[]], groups: [CPU_GROUP], profiles: [profile] })
}

function framesOf(dataset: Dataset): { frames: Frame[]; bytes: Uint8Array } {
  const { frames, chunks } = encodeFrames(dataset, { codec: TEST_CODEC }, planFrames(dataset.headers))
  return { frames, bytes: Uint8Array.from(chunks.flatMap((chunk) => [...chunk])) }
}

function encodingsOf(values: readonly (readonly bigint[])[]): number[] {
  return framesOf(datasetOf(values)).frames[0]!.columns.map(({ encoding }) => encoding)
}

test('columns take the encoding that fits', () => {
  const { zero, varint32, varint64, same } = CHUNK_ENCODING
  const context = [zero, zero, zero]
  assert.deepEqual(
    encodingsOf([
      [1n, 10n],
      [3n, 30n],
    ]),
    [varint32, varint32, same, ...context],
  )
  assert.deepEqual(
    encodingsOf([
      [1n, 10n],
      [3n, 31n],
    ]),
    [varint32, varint32, varint32, ...context],
  )
  assert.deepEqual(
    encodingsOf([
      [0n, 10n],
      [0n, 31n],
    ]),
    [varint32, zero, varint32, ...context],
  )
  assert.deepEqual(
    encodingsOf([
      [1n << 32n, 1n],
      [1n, 1n],
    ]),
    [varint32, varint64, varint32, ...context],
  )
  assert.deepEqual(
    encodingsOf([
      [1n << 62n, 1n << 62n],
      [1n, 1n],
    ]),
    [varint32, varint64, same, ...context],
  )
  // Equal low lanes are not equal values.
  assert.deepEqual(
    encodingsOf([
      [(1n << 32n) + 1n, 1n],
      [1n, 1n],
    ]),
    [varint32, varint64, varint32, ...context],
  )
})

function sourceOf(dataset: Dataset, bytes: Uint8Array): FrameSource {
  return {
    codec: TEST_CODEC,
    dataset: 'dataset 0',
    section: 'frames',
    groups: dataset.groups,
    headers: dataset.headers,
    stackCount: dataset.symbols.stackCount,
    viewChunk: ({ offset, storedBytes }) => bytes.subarray(offset, offset + storedBytes),
  }
}

test('a column and its multiple decode to their values', () => {
  const dataset = datasetOf([
    [1n, 10_000_000n],
    [3n, 30_000_000n],
    [0n, 0n],
  ])
  const { frames, bytes } = framesOf(dataset)
  const source = sourceOf(dataset, bytes)
  const ids = new Uint32Array(3)
  decodeStackIds(source, frames[0]!, ids, 0)
  assert.deepEqual(ids, dataset.rows[0]!.stackId)
  const column = allocateInt64Column(3)
  decodeValues(source, { frame: frames[0]!, type: 1 }, column, 0)
  assert.deepEqual(
    [0, 1, 2].map((i) => getBigInt(column, i)),
    [10_000_000n, 30_000_000n, 0n],
  )
  assert.deepEqual(neededColumns(frames[0]!, CPU_GROUP, { types: [1], spans: false }), [0, 1])
  assert.deepEqual(neededColumns(frames[0]!, CPU_GROUP, { types: [0, 1], spans: true }), [0, 1, 3, 4, 5])
})

test('damage and short chunks are named by column and headers', () => {
  const dataset = datasetOf([
    [1n, 10n],
    [3n, 31n],
  ])
  const { frames, bytes } = framesOf(dataset)
  const frame = frames[0]!
  const damaged = bytes.slice()
  damaged[frame.columns[2]!.offset] = damaged[frame.columns[2]!.offset]! ^ 1
  const read = (source: FrameSource): void => decodeValues(source, { frame, type: 1 }, allocateInt64Column(2), 0)
  read(sourceOf(dataset, bytes))
  assert.throws(() => read(sourceOf(dataset, damaged)), /section frames: values of cpu of headers 0\.\.0: checksum/)
  const short = { ...sourceOf(dataset, bytes), viewChunk: () => new Uint8Array(1) }
  assert.throws(() => read(short), /values of cpu of headers 0\.\.0: 1 bytes, not 2/)
  const fewStacks = { ...sourceOf(dataset, bytes), stackCount: 1 }
  assert.throws(() => decodeStackIds(fewStacks, frame, new Uint32Array(2), 0), /stack ids of headers 0\.\.0: malformed/)
})

test('only frames with a span or trace have context', () => {
  const sample: SampleSpec = { stack: ['a'], values: [1n] }
  const profile = (id: number, more: Partial<SampleSpec>) => ({
    series: 0,
    group: 0,
    timeNanos: WINDOW_START_NANOS,
    id,
    samples: [{ ...sample, ...more }],
  })
  const groups = ARBITRARY_GROUPS.slice(1, 2)
  const has = (more: Partial<SampleSpec>): boolean => {
    const dataset = makeDataset({ series: [[]], groups, profiles: [profile(1, more)] })
    return frameHasContext(framesOf(dataset).frames[0]!, groups[0]!)
  }
  assert.equal(has({}), false)
  assert.equal(has({ span: 1n }), true)
  assert.equal(has({ trace: [0n, 1n] }), true)
})
