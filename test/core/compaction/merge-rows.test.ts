import assert from 'node:assert/strict'
import { test } from 'node:test'
import { emptyRows } from '#core/block/frames.ts'
import { gatherRows, RowSorter } from '#core/compaction/merge-rows.ts'
import { CPU_GROUP } from '../../support/datasets.ts'

/** Rows (stack, value, span) of one header; the second type is ten times the first. */
function rowsOf(list: readonly (readonly [number, number, number])[]) {
  const rows = emptyRows(CPU_GROUP, list.length, true)
  list.forEach(([stack, value, span], i) => {
    rows.stackId[i] = stack
    rows.values[0]!.lo[i] = value
    rows.values[1]!.lo[i] = value * 10
    rows.spanId!.lo[i] = span
  })
  return rows
}

function gather(list: readonly (readonly [number, number, number])[], stackOf: readonly number[]) {
  // The header's rows lie behind others.
  const rows = rowsOf([[0, 99, 0], ...list])
  const one = Uint32Array.of(0)
  const out = emptyRows(CPU_GROUP, list.length, true)
  gatherRows(
    {
      refs: { count: 1, input: one, position: one, group: one, series: one },
      stackOf: [Uint32Array.from(stackOf)],
      spanOf: () => ({ rows, start: 1, length: list.length }),
      sorter: new RowSorter(),
    },
    { first: 0, end: 1 },
    out,
  )
  return Array.from(out.stackId, (stack, i) => {
    assert.equal(out.values[1]!.lo[i], out.values[0]!.lo[i]! * 10)
    return [stack, out.values[0]!.lo[i], out.spanId!.lo[i]]
  })
}

test('rows whose stacks stay in order are copied as they lie', () => {
  const rows = [
    [1, 5, 0],
    [2, 6, 0],
    [4, 7, 3],
  ] as const
  assert.deepEqual(gather(rows, [0, 10, 20, 30, 40]), [
    [10, 5, 0],
    [20, 6, 0],
    [40, 7, 3],
  ])
})

test('rows whose stacks change their order are sorted by their new stacks', () => {
  const rows = [
    [1, 5, 0],
    [2, 6, 0],
    [4, 7, 0],
  ] as const
  assert.deepEqual(gather(rows, [0, 9, 3, 0, 1]), [
    [1, 7, 0],
    [3, 6, 0],
    [9, 5, 0],
  ])
})

test('rows of one stack keep their order by span', () => {
  const rows = [
    [1, 5, 7],
    [1, 6, 8],
    [2, 7, 0],
    [2, 8, 1],
  ] as const
  assert.deepEqual(gather(rows, [0, 9, 3]), [
    [3, 7, 0],
    [3, 8, 1],
    [9, 5, 7],
    [9, 6, 8],
  ])
})

test('more rows than the scratch holds', () => {
  const rows = Array.from({ length: 5_000 }, (_, i) => [i, i + 1, 0] as const)
  const reversed = Array.from({ length: 5_000 }, (_, i) => 4_999 - i)
  assert.deepEqual(
    gather(rows, reversed),
    Array.from({ length: 5_000 }, (_, i) => [i, 5_000 - i, 0]),
  )
})

test('dense and sparse stacks are sorted alike', () => {
  const sizes = [1, 2, 31, 32, 33, 700]
  const spreads = [1, 3, 63, 64, 65, 5_000]
  for (const length of sizes)
    for (const spread of spreads) {
      // A permutation of the multiples of `spread`, and bits at both ends of a word.
      const stackOf = Array.from({ length }, (_, i) => ((i * 401) % length) * spread + 31)
      if (new Set(stackOf).size < length) continue
      const rows = stackOf.map((_, i) => [i, i + 1, 0] as const)
      const expected = stackOf.map((stack, i) => [stack, i + 1, 0]).sort((a, b) => a[0]! - b[0]!)
      assert.deepEqual(gather(rows, stackOf), expected)
    }
})
