import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { columnFactors } from '#core/block/column-factor.ts'
import { prepareHashes, sumHeaders } from '#core/block/conservation.ts'
import { FRAME_ROWS_TARGET } from '#core/block/format.ts'
import type { GroupRows } from '#core/block/dataset.ts'
import { decodeAllValues, encodeFrames, type FrameSource } from '#core/block/frames.ts'
import { findTotalFault } from '#core/compaction/merge-totals.ts'
import { allocateInt64Column, type Int64Column, setBigInt, sumInt64 } from '#core/wire/int64.ts'
import { TEST_CODEC } from '../../support/block-objects.ts'

function columnOf(values: readonly bigint[]): Int64Column {
  const column = allocateInt64Column(values.length)
  values.forEach((value, i) => setBigInt(column, i, value))
  return column
}

const factorsOf = (...columns: (readonly bigint[])[]) => columnFactors(columns.map(columnOf), columns[0]!.length)

test('a column that is a whole multiple of an earlier one is found, with the zeros of both', () => {
  assert.deepEqual(factorsOf([0n, 1n, 7n, 0n], [0n, 10n, 70n, 0n]), [undefined, { of: 0, factor: 10 }])
  assert.deepEqual(factorsOf([5n, 6n], [5n, 6n]), [undefined, { of: 0, factor: 1 }])
  assert.deepEqual(factorsOf([1n, 2n], [3n, 4n], [6n, 8n], [4n, 8n]), [
    undefined,
    undefined,
    { of: 1, factor: 2 },
    { of: 0, factor: 4 },
  ])
})

test('what is not a whole multiple in every row is none', () => {
  for (const [a, b] of [
    [
      [1n, 2n],
      [10n, 21n],
    ],
    [
      [10n, 20n],
      [1n, 2n],
    ],
    [
      [0n, 2n],
      [1n, 4n],
    ],
    [
      [1n, 0n],
      [2n, 1n],
    ],
    [
      [0n, 0n],
      [0n, 0n],
    ],
    [
      [1n, 1n],
      [0n, 0n],
    ],
    [[], []],
  ] as const)
    assert.deepEqual(factorsOf(a, b), [undefined, undefined], `${a} and ${b}`)
})

test('what a double cannot hold is none: neighbours would be taken for equal', () => {
  const big = 2n ** 53n
  assert.deepEqual(factorsOf([1n, big / 2n], [2n, big + 1n]), [undefined, undefined])
  assert.deepEqual(factorsOf([1n, big], [1n, big + 1n]), [undefined, undefined])
  assert.deepEqual(factorsOf([1n, 2n ** 62n], [2n, 2n ** 63n]), [undefined, undefined])
  assert.deepEqual(factorsOf([1n, (big - 1n) / 6361n], [6361n, big - 1n]), [undefined, { of: 0, factor: 6361 }])
})

const STACKS = 5
const rowsArbitrary = fc.record({
  values: fc.array(fc.bigInt({ min: 0n, max: 2n ** 34n }), { minLength: 1, maxLength: 60 }),
  factor: fc.constantFrom(1n, 2n, 10n, 10_000_000n, 524_287n),
  other: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
  seed: fc.nat(1000),
})

interface Scene {
  readonly rows: GroupRows
  readonly headers: Parameters<typeof sumHeaders>[0]['headers'] & { readonly totals: readonly Int64Column[] }
}

/** Two profiles of one series; the second column is a multiple, the third anything, the fourth again a multiple. */
function sceneOf({
  values,
  factor,
  other,
  seed,
}: typeof rowsArbitrary extends fc.Arbitrary<infer T> ? T : never): Scene {
  const columns = [
    columnOf(values),
    columnOf(values.map((value) => value * factor)),
    columnOf(values.map((_, i) => (other + BigInt(i * seed)) % 2n ** 63n)),
    columnOf(values.map((value) => value * 2n * factor)),
  ]
  const cut = values.length >> 1
  const rowStart = Uint32Array.of(0, cut)
  const rowLength = Uint32Array.of(cut, values.length - cut)
  const totals = columns.map((column) => columnOf([sumInt64(column, 0, cut), sumInt64(column, cut, values.length)]))
  const stackId = Uint32Array.from(values, (_, i) => (i * 7 + seed) % STACKS)
  const none = { spanId: undefined, traceIdHigh: undefined, traceIdLow: undefined }
  const one = Uint32Array.of(0, 0)
  return {
    rows: { rowCount: values.length, stackId, values: columns, ...none },
    headers: { count: 2, group: one, series: one, rowStart, rowLength, totals },
  }
}

test('sums, faults and bytes are the same whether multiples are known or not', () => {
  const hashes = prepareHashes({
    h1: Uint32Array.from({ length: STACKS }, (_, i) => Math.imul(i + 1, 0x9e3779b1)),
    h2: Uint32Array.from({ length: STACKS }, (_, i) => Math.imul(i + 7, 0x85ebca6b)),
  })
  const types = ['a', 'b', 'c', 'd'].map((type) => ({ type, unit: 'u' }))
  const groups = [{ types, periodType: '', periodUnit: '', period: 0n }]
  fc.assert(
    fc.property(rowsArbitrary, fc.nat(3), (drawn, wrong) => {
      const { rows, headers } = sceneOf(drawn)
      const known = { ...rows, factors: columnFactors(rows.values, rows.rowCount) }
      const { totals, ...plain } = headers
      const expected = sumHeaders({ rows: [rows], headers: plain }, hashes)
      assert.deepEqual(sumHeaders({ rows: [known], headers }, hashes), expected)

      const all = { first: 0, end: 2 }
      assert.equal(findTotalFault(headers, all, known), undefined)
      const low = totals[wrong]!.lo
      low[1] = low[1]! ^ 1
      assert.deepEqual(findTotalFault(headers, all, known), findTotalFault(headers, all, rows))

      const plans = [{ group: 0, firstHeader: 0, headerCount: 2, rowStart: 0, rowCount: rows.rowCount }]
      // Within a header stacks ascend.
      const sorted = { stackId: Uint32Array.from(rows.stackId).fill(3) }
      const encode = (of: GroupRows) =>
        encodeFrames({ groups, rows: [{ ...of, ...sorted }], headers: plain }, { codec: TEST_CODEC }, plans)
      const encoded = encode(known)
      assert.deepEqual(encoded, encode(rows))

      const section = new Uint8Array(encoded.chunks.reduce((sum, { length }) => sum + length, 0))
      encoded.chunks.reduce((at, chunk) => (section.set(chunk, at), at + chunk.length), 0)
      const source: FrameSource = {
        codec: TEST_CODEC,
        dataset: 'dataset 0',
        section: 'frames',
        groups,
        headers: plain,
        stackCount: STACKS,
        viewChunk: ({ offset, storedBytes }) => section.subarray(offset, offset + storedBytes),
      }
      const out = rows.values.map(() => allocateInt64Column(rows.rowCount + 3))
      // What was there before is gone.
      for (const { lo, hi } of out) {
        lo.fill(9)
        hi.fill(9)
      }
      decodeAllValues(source, encoded.frames[0]!, out)
      const decoded = out.map(({ lo, hi }) => ({ lo: lo.slice(0, rows.rowCount), hi: hi.slice(0, rows.rowCount) }))
      assert.deepEqual(decoded, rows.values)
    }),
    { numRuns: 200 },
  )
})

test('more rows than a chunk of the mix holds are exact, small values and large ones mixed', () => {
  const count = FRAME_ROWS_TARGET + 5
  const column = allocateInt64Column(count)
  for (let i = 0; i < count; i++) {
    column.lo[i] = i % 3 === 0 ? 1023 : i % 3 === 1 ? 1024 : 0xffffffff
    column.hi[i] = i % 5 === 0 ? 7 : 0
  }
  const h2 = 67_108_858
  const none = { spanId: undefined, traceIdHigh: undefined, traceIdLow: undefined }
  const rows = [{ rowCount: count, stackId: new Uint32Array(count), values: [column], ...none }]
  const one = Uint32Array.of(0)
  const headers = { count: 1, group: one, series: one, rowStart: one, rowLength: Uint32Array.of(count) }
  const [sum] = sumHeaders({ rows, headers }, { h1: Uint32Array.of(0xdeadbeef), h2Reduced: Uint32Array.of(h2) })
  let mix32 = 0n
  let mixPrime = 0n
  for (let i = 0; i < count; i++) {
    const value = BigInt(column.hi[i]!) * 2n ** 32n + BigInt(column.lo[i]!)
    mix32 = (mix32 + (value & 0xffffffffn) * 0xdeadbeefn) & 0xffffffffn
    mixPrime = (mixPrime + (value % 67108859n) * BigInt(h2)) % 67108859n
  }
  assert.deepEqual([sum!.mix32, sum!.mixPrime], [Number(mix32), Number(mixPrime)])
})
