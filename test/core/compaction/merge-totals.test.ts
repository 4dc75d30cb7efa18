import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { findTotalFault } from '#core/compaction/merge-totals.ts'
import { allocateInt64Column, type Int64Column } from '#core/wire/int64.ts'

function columnOf(values: readonly bigint[]): Int64Column {
  const column = allocateInt64Column(values.length)
  values.forEach((value, i) => {
    column.lo[i] = Number(value & 0xffffffffn)
    column.hi[i] = Number((value >> 32n) & 0xffffffffn)
  })
  return column
}

/** Headers behind some that are not looked at, with the totals given, or those of their rows. */
function sceneOf(profiles: readonly (readonly bigint[])[], totals = profiles.map(sum)) {
  const before = 7
  const lengths = profiles.map(({ length }) => length)
  const starts = lengths.map((_, i) => lengths.slice(0, i).reduce((a, b) => a + b, before))
  const headers = {
    rowStart: Uint32Array.from([0, ...starts]),
    rowLength: Uint32Array.from([before, ...lengths]),
    totals: [columnOf([0n, ...totals]), columnOf([0n, ...profiles.map(sum)])],
  }
  const rows = { values: [columnOf(profiles.flat()), columnOf(profiles.flat())] }
  return { headers, rows, range: { first: 1, end: 1 + profiles.length } }
}

const sum = (values: readonly bigint[]): bigint =>
  BigInt.asIntN(
    64,
    values.reduce((a, b) => a + b, 0n),
  )
const profilesOf = fc.array(fc.array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), { maxLength: 6 }), {
  minLength: 1,
  maxLength: 6,
})

test('totals that are the sums of their rows have no fault, whatever the values, past 2^63 too', () => {
  fc.assert(
    fc.property(profilesOf, (profiles) => {
      const { headers, rows, range } = sceneOf(profiles)
      assert.equal(findTotalFault(headers, range, rows), undefined)
    }),
  )
})

test('a total that is off by any amount is named with its header and type', () => {
  const off = fc.bigInt({ min: 1n, max: 2n ** 64n - 1n })
  fc.assert(
    fc.property(profilesOf, fc.nat(), off, (profiles, at, by) => {
      const wrong = at % profiles.length
      const totals = profiles.map((values, i) => BigInt.asIntN(64, sum(values) + (i === wrong ? by : 0n)))
      const { headers, rows, range } = sceneOf(profiles, totals)
      assert.deepEqual(findTotalFault(headers, range, rows), { header: 1 + wrong, type: 0 })
    }),
  )
})

test('two totals that changed places are found, although their sum is right', () => {
  const { headers, rows, range } = sceneOf([[1n, 2n], [4n]], [4n, 3n])
  assert.deepEqual(findTotalFault(headers, range, rows), { header: 1, type: 0 })
})

test('more rows than a double can add low words of are exact', () => {
  const count = (1 << 21) + 3
  const column = { lo: new Uint32Array(count).fill(0xffffffff), hi: new Uint32Array(count).fill(0xffffffff) }
  const headers = {
    rowStart: Uint32Array.of(0),
    rowLength: Uint32Array.of(count),
    totals: [columnOf([-BigInt(count)])],
  }
  assert.equal(findTotalFault(headers, { first: 0, end: 1 }, { values: [column] }), undefined)
})
