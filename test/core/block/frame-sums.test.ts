import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Dataset } from '#core/block/dataset.ts'
import { CHUNK_ENCODING } from '#core/block/format.ts'
import { sumFrame } from '#core/block/frame-sums.ts'
import type { Frame } from '#core/block/frame-index.ts'
import { encodeFrames, type FrameSource, planFrames } from '#core/block/frames.ts'
import { StackSums } from '#core/query/stack-sums.ts'
import { getBigInt } from '#core/wire/int64.ts'
import { crc32c } from '#core/wire/crc32c.ts'
import { CPU_GROUP, makeDataset, WINDOW_START_NANOS } from '../../support/datasets.ts'
import { TEST_CODEC } from '../../support/block-objects.ts'

type Rows = readonly (readonly [stack: number, value: bigint])[]

/** A profile each; of both types of the group the value is the same, so that one of them refers to the other. */
function framed(profiles: readonly Rows[]): { dataset: Dataset; frame: Frame; source: FrameSource } {
  const dataset = makeDataset({
    series: [[]],
    groups: [CPU_GROUP],
    profiles: profiles.map((rows, i) => ({
      series: 0,
      group: 0,
      timeNanos: WINDOW_START_NANOS + BigInt(i),
      id: i + 1,
      samples: rows.map(([stack, value]) => ({ stack: [`f${stack}`], values: [value, value * 10n] })),
    })),
  })
  const { frames, chunks } = encodeFrames(dataset, { codec: TEST_CODEC }, planFrames(dataset.headers))
  assert.equal(frames.length, 1)
  const bytes = Uint8Array.from(chunks.flatMap((chunk) => [...chunk]))
  const source: FrameSource = {
    codec: TEST_CODEC,
    dataset: 'dataset 0',
    section: 'frames',
    groups: dataset.groups,
    headers: dataset.headers,
    stackCount: dataset.symbols.stackCount,
    viewChunk: ({ offset, storedBytes }) => bytes.subarray(offset, offset + storedBytes),
  }
  return { dataset, frame: frames[0]!, source }
}

/** By stack, from the rows themselves. */
function expectedSums({ rows, headers, symbols }: Dataset, type: number, wanted: Uint8Array): bigint[] {
  const sums = Array.from({ length: symbols.stackCount }, () => 0n)
  const { stackId, values } = rows[0]!
  for (let h = 0; h < headers.count; h++) {
    if (wanted[h] !== 1) continue
    for (let row = headers.rowStart[h]!; row < headers.rowStart[h]! + headers.rowLength[h]!; row++)
      sums[stackId[row]!]! += getBigInt(values[type]!, row)
  }
  return sums.map((sum) => BigInt.asIntN(64, sum))
}

const row = (value: fc.Arbitrary<bigint>) => fc.tuple(fc.nat({ max: 300 }), value)
const uniqueRows = (value: fc.Arbitrary<bigint>) =>
  fc.uniqueArray(row(value), { maxLength: 40, selector: ([stack]) => stack })
const value = fc.oneof(fc.bigInt({ min: 0n, max: 200n }), fc.bigInt({ min: 0n, max: 0xffffffffn }))

test('sums of wanted headers are those of their rows', () => {
  const profiles = fc.array(uniqueRows(value), { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(profiles, fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }), (given, flags) => {
      const { dataset, frame, source } = framed(given)
      const wanted = Uint8Array.from(given, (_, h) => (flags[h]! ? 1 : 0))
      for (const type of [0, 1]) {
        const sums = new StackSums(dataset.symbols.stackCount)
        const isSummed = sumFrame(source, { frame, type, wanted }, (divisor, rows) => sums.residualsFor(divisor, rows))
        const hasStacks = frame.columns[0]!.encoding !== CHUNK_ENCODING.zero
        assert.equal(isSummed, hasStacks || frame.columns[1 + type]!.encoding === CHUNK_ENCODING.zero)
        if (!isSummed) return
        const { lo } = sums.view()
        assert.deepEqual(
          Array.from(lo, (_, stack) => getBigInt(sums.view(), stack)),
          expectedSums(dataset, type, wanted),
        )
      }
    }),
  )
})

test('a column of 64 bit residuals is left to the caller', () => {
  const { frame, source } = framed([
    [
      [1, (1n << 40n) + 1n],
      [2, 1n],
    ] as const,
  ])
  assert.equal(frame.columns[1]!.encoding, CHUNK_ENCODING.varint64)
  const asked = (): never => assert.fail('nothing is added')
  assert.equal(sumFrame(source, { frame, type: 0, wanted: Uint8Array.of(1) }, asked), false)
})

/** The frame with other bytes for its stack ids and values. */
function crafted(stacks: readonly number[], values: readonly number[], divisor = 1) {
  const { frame, source } = framed([
    [
      [1, 1n],
      [2, 2n],
    ] as const,
  ])
  const chunkOf = (bytes: readonly number[], offset: number) => ({
    encoding: CHUNK_ENCODING.varint32,
    zstd: false,
    divisor,
    reference: 0,
    storedBytes: bytes.length,
    rawBytes: bytes.length,
    crc: crc32c(Uint8Array.from(bytes)),
    offset,
  })
  const columns = [...frame.columns]
  columns[0] = chunkOf(stacks, 0)
  columns[1] = chunkOf(values, stacks.length)
  const all = Uint8Array.from([...stacks, ...values])
  const viewChunk: FrameSource['viewChunk'] = ({ offset, storedBytes }) => all.subarray(offset, offset + storedBytes)
  return { frame: { ...frame, columns }, source: { ...source, viewChunk } }
}

for (const [name, stacks, values, divisor, message] of [
  ['too few stack ids', [0], [1, 2], 1, /stack ids .* malformed column/],
  ['too many stack ids', [0, 1, 0], [1, 2], 1, /stack ids .* malformed column/],
  ['too few values', [0, 1], [1], 1, /malformed column/],
  ['too many values', [0, 1], [1, 2, 3], 1, /malformed column/],
  ['a value over 32 bits', [0, 1], [1, 0xff, 0xff, 0xff, 0xff, 0x1f], 1, /malformed column/],
  ['a value of six bytes', [0, 1], [1, 0x80, 0x80, 0x80, 0x80, 0x80, 0], 1, /malformed column/],
  ['a stack over 32 bits', [0, 0xff, 0xff, 0xff, 0xff, 0x1f], [1, 2], 1, /malformed column/],
  ['a stack out of range', [0, 0x7f], [1, 2], 1, /malformed column/],
  ['the largest stack of 32 bits', [0, 0xff, 0xff, 0xff, 0xff, 0x0f], [1, 2], 1, /malformed column/],
  ['an unfinished varint', [0, 0x81], [1, 2], 1, /malformed column/],
  ['a product past 2^53', [0, 1], [1, 2], 2 ** 52 + 1, /values of .* malformed column/],
] as const) {
  test(`malformed: ${name}`, () => {
    const { frame, source } = crafted(stacks, values, divisor)
    const sums = new StackSums(source.stackCount)
    const residualsFor = (given: number, rows: number) => sums.residualsFor(given, rows)
    assert.throws(() => sumFrame(source, { frame, type: 0, wanted: Uint8Array.of(1) }, residualsFor), message)
  })
}

test('what is passed over must be there too', () => {
  const nothing = Uint8Array.of(0)
  const none = new Float64Array(8)
  const good = crafted([0, 1], [1, 0x80, 1])
  assert.equal(
    sumFrame(good.source, { frame: good.frame, type: 0, wanted: nothing }, () => none),
    true,
  )
  assert.deepEqual(none, new Float64Array(8))
  for (const [stacks, values] of [
    [[0], [1, 2]],
    [
      [0, 1],
      [1, 0x80],
    ],
    [
      [0, 1, 0],
      [1, 2],
    ],
  ] as const) {
    const { frame, source } = crafted(stacks, values)
    assert.throws(() => sumFrame(source, { frame, type: 0, wanted: nothing }, () => none), /malformed column/)
  }
})
