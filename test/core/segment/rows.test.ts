import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { GrowingRows, RowScratch, type SampleIds } from '#core/segment/rows.ts'
import { allocateInt64Column, getBigInt, type Int64Column, setBigInt } from '#core/wire/int64.ts'

interface PlainRow {
  readonly stackId: number
  readonly span?: bigint
  readonly trace?: readonly [high: bigint, low: bigint]
  readonly values: readonly bigint[]
}

function columnOf(values: readonly bigint[]): Int64Column {
  const column = allocateInt64Column(values.length)
  values.forEach((value, i) => setBigInt(column, i, value))
  return column
}

/** Absent where no sample has one, as the splitter has it. */
function idsOf(samples: readonly PlainRow[]): SampleIds {
  const column = (of: (sample: PlainRow) => bigint) =>
    samples.some((sample) => of(sample) !== 0n) ? columnOf(samples.map(of)) : undefined
  return {
    spanId: column(({ span = 0n }) => span),
    traceIdHigh: column(({ trace = [0n, 0n] }) => trace[0]),
    traceIdLow: column(({ trace = [0n, 0n] }) => trace[1]),
  }
}

/** One profile through the scratch into the group. */
function append(scratch: RowScratch, rows: GrowingRows, samples: readonly PlainRow[]): number {
  scratch.begin(rows.values.length, samples.length)
  const ids = idsOf(samples)
  const values = columnOf(samples.flatMap((sample) => sample.values))
  samples.forEach(({ stackId: stack, span = 0n, trace = [0n, 0n] }, k) => {
    const isBare = span === 0n && trace[0] === 0n && trace[1] === 0n
    const row = isBare ? scratch.rowOf(stack) : scratch.rowWithContext(stack, ids, k)
    scratch.addValues(row, values, k * rows.values.length)
  })
  return scratch.appendTo(rows)
}

const keyOf = ({ stackId, span = 0n, trace = [0n, 0n] }: PlainRow): bigint =>
  (((((BigInt(stackId) << 64n) | span) << 64n) | trace[0]) << 64n) | trace[1]

/** The slow truth: a map by stack, span and trace, sorted. */
function expectedRows(samples: readonly PlainRow[]): { key: bigint; values: bigint[] }[] {
  const byKey = new Map<bigint, bigint[]>()
  for (const sample of samples) {
    const known = byKey.get(keyOf(sample))
    if (known === undefined) byKey.set(keyOf(sample), [...sample.values])
    else sample.values.forEach((value, t) => (known[t] = known[t]! + value))
  }
  return [...byKey]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, values]) => ({ key, values: values.map((value) => BigInt.asIntN(64, value)) }))
}

function actualRows(rows: GrowingRows): { key: bigint; values: bigint[] }[] {
  const gathered = rows.gather(Uint32Array.from({ length: rows.count }, (_, i) => i))
  const unsigned = (value: bigint): bigint => BigInt.asUintN(64, value)
  return Array.from({ length: gathered.rowCount }, (_, i) => ({
    key: keyOf({
      stackId: gathered.stackId[i]!,
      span: gathered.spanId === undefined ? 0n : unsigned(getBigInt(gathered.spanId, i)),
      trace: [
        gathered.traceIdHigh === undefined ? 0n : unsigned(getBigInt(gathered.traceIdHigh, i)),
        gathered.traceIdLow === undefined ? 0n : unsigned(getBigInt(gathered.traceIdLow, i)),
      ],
      values: [],
    }),
    values: gathered.values.map((column) => getBigInt(column, i)),
  }))
}

const value = fc.oneof(fc.nat(9).map(BigInt), fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }))
const stackId = fc.oneof(fc.nat(5), fc.nat(5_000))
const plain = (types: number): fc.Arbitrary<PlainRow> =>
  fc.record({ stackId, values: fc.array(value, { minLength: types, maxLength: types }) })
const traced = (types: number): fc.Arbitrary<PlainRow> =>
  fc.record({
    stackId,
    span: fc.oneof(fc.constantFrom(0n, 1n, 2n ** 63n, 2n ** 64n - 1n)),
    trace: fc.tuple(fc.constantFrom(0n, 2n ** 64n - 1n), fc.constantFrom(0n, 1n, 2n ** 32n)),
    values: fc.array(value, { minLength: types, maxLength: types }),
  })

test('rows of profile after profile are unique, sorted and summed exactly, whatever came before in the scratch', () => {
  const profile = (types: number): fc.Arbitrary<PlainRow[]> =>
    fc.array(fc.oneof({ weight: 4, arbitrary: plain(types) }, { weight: 1, arbitrary: traced(types) }), {
      maxLength: 30,
    })
  const groups = fc
    .integer({ min: 1, max: 3 })
    .chain((types) => fc.record({ types: fc.constant(types), profiles: fc.array(profile(types), { maxLength: 6 }) }))
  fc.assert(
    fc.property(fc.array(groups, { minLength: 1, maxLength: 3 }), (all) => {
      const scratch = new RowScratch()
      for (const { types, profiles } of all) {
        const rows = new GrowingRows(types)
        const expected = profiles.flatMap(expectedRows)
        const counts = profiles.map((samples) => append(scratch, rows, samples))
        assert.deepEqual(
          counts,
          profiles.map((samples) => expectedRows(samples).length),
        )
        assert.deepEqual(actualRows(rows), expected)
      }
    }),
    { numRuns: 200 },
  )
})

test('columns of spans exist once a row has one; earlier and later rows have none', () => {
  const scratch = new RowScratch()
  const rows = new GrowingRows(1)
  append(scratch, rows, [{ stackId: 3, values: [1n] }])
  assert.equal(rows.gather(new Uint32Array([0])).spanId, undefined)
  append(scratch, rows, [{ stackId: 2, span: 7n, values: [1n] }])
  append(scratch, rows, [{ stackId: 1, values: [1n] }])
  const { spanId } = rows.gather(new Uint32Array([0, 1, 2]))
  assert.deepEqual(
    [0, 1, 2].map((row) => getBigInt(spanId!, row)),
    [0n, 7n, 0n],
  )
})

test('gather takes rows in the order given', () => {
  const rows = new GrowingRows(2)
  append(new RowScratch(), rows, [
    { stackId: 1, values: [10n, 2n ** 40n] },
    { stackId: 2, values: [20n, 2n ** 62n] },
  ])
  const { stackId: stacks, values } = rows.gather(new Uint32Array([1, 0, 1]))
  assert.deepEqual([...stacks], [2, 1, 2])
  assert.deepEqual(
    [0, 1, 2].map((row) => getBigInt(values[1]!, row)),
    [2n ** 62n, 2n ** 40n, 2n ** 62n],
  )
})

test('a profile larger than all before it, with more types, fits', () => {
  const scratch = new RowScratch()
  const small = new GrowingRows(1)
  append(scratch, small, [{ stackId: 0, values: [1n] }])
  const large = new GrowingRows(3)
  const samples = Array.from({ length: 5_000 }, (_, i) => ({
    stackId: 4_999 - i,
    values: [1n, BigInt(i), 2n ** 63n - 1n],
  }))
  assert.equal(append(scratch, large, samples), 5_000)
  assert.deepEqual(actualRows(large), expectedRows(samples))
})

test('rows of equal stacks are still one after 2^32 profiles', () => {
  const scratch = new RowScratch(2 ** 32 - 2)
  for (let profile = 0; profile < 4; profile++) {
    const rows = new GrowingRows(1)
    const samples = [
      { stackId: profile % 2, values: [1n] },
      { stackId: 2, values: [10n] },
      { stackId: profile % 2, values: [100n] },
    ]
    append(scratch, rows, samples)
    assert.deepEqual(actualRows(rows), expectedRows(samples), `profile ${profile}`)
  }
})
