import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { DIRECT_ID_LIMIT, IdTable, WideIds } from '#core/pprof/id-table.ts'
import { NO_ROW } from '#core/pprof/profile.ts'

function internAll(wide: WideIds, ids: readonly bigint[]): Uint32Array {
  return Uint32Array.from(ids, (id) => wide.idOf(Number(id & 0xffffffffn), Number(id >> 32n)))
}

test('small ids stand for themselves, large ones are numbered in order of first use', () => {
  const wide = new WideIds()
  const ids = [0n, 7n, 2_097_151n, 2_097_152n, 2n ** 64n - 1n, 2_097_152n, 2n ** 32n + 7n]
  assert.deepEqual(Array.from(internAll(wide, ids)), [
    0,
    7,
    2_097_151,
    DIRECT_ID_LIMIT,
    DIRECT_ID_LIMIT + 1,
    DIRECT_ID_LIMIT,
    DIRECT_ID_LIMIT + 2,
  ])
  assert.equal(wide.count, 3)
  wide.clear()
  assert.equal(wide.count, 0)
  assert.deepEqual(Array.from(internAll(wide, [2n ** 40n])), [DIRECT_ID_LIMIT])
})

test('property: references resolve as a map filled in order does, also in a table used before', () => {
  const id = fc.oneof(
    fc.bigInt({ min: 0n, max: 12n }),
    fc.bigInt({ min: 2_097_140n, max: 2_097_160n }),
    fc.bigInt({ min: 2n ** 64n - 8n, max: 2n ** 64n - 1n }),
  )
  const table = new IdTable()
  const wide = new WideIds()
  fc.assert(
    fc.property(fc.array(id, { maxLength: 40 }), fc.array(id, { maxLength: 40 }), (ids, references) => {
      wide.clear()
      const expected = new Map(ids.map((value, row) => [value, row]))
      // References come first in most profiles, so they meet wide ids before the rows do.
      const column = internAll(wide, references)
      const rows = internAll(wide, ids)
      table.build(rows, ids.length, wide.count)
      table.resolve(column, references.length)
      assert.deepEqual(
        Array.from(column),
        references.map((value) => (value === 0n ? NO_ROW : (expected.get(value) ?? NO_ROW))),
      )
    }),
    { numRuns: 300 },
  )
})

test('ids from 1 in order need no table', () => {
  const table = new IdTable()
  table.build(Uint32Array.of(1, 2, 3), 3, 0)
  const column = Uint32Array.of(3, 1, 0, 4, 2)
  table.resolve(column, 5)
  assert.deepEqual(Array.from(column), [2, 0, NO_ROW, NO_ROW, 1])
})

test('100,000 wide ids keep their numbers through growth', () => {
  const wide = new WideIds()
  for (let i = 0; i < 100_000; i++) assert.equal(wide.idOf(i, 5), DIRECT_ID_LIMIT + i)
  for (let i = 0; i < 100_000; i += 997) assert.equal(wide.idOf(i, 5), DIRECT_ID_LIMIT + i)
  assert.equal(wide.count, 100_000)
})

test('property: sparse small ids resolve as a map filled in order does, beside wide ones, id 0 and unknown ids', () => {
  const id = fc.oneof(
    fc.nat({ max: 2 ** 21 - 1 }),
    fc.constantFrom(0, 1, 2 ** 21 - 1, DIRECT_ID_LIMIT, DIRECT_ID_LIMIT + 1),
  )
  const rowIds = fc.array(id, { maxLength: 60 })
  const table = new IdTable()
  fc.assert(
    fc.property(rowIds, fc.array(id, { maxLength: 30 }), (ids, unknown) => {
      table.build(Uint32Array.from(ids), ids.length, 2)
      const rows = new Map<number, number>()
      ids.forEach((each, row) => {
        if (each !== 0) rows.set(each, row)
      })
      const references = Uint32Array.from([...ids, ...unknown])
      table.resolve(references, references.length)
      assert.deepEqual(
        [...references],
        [...ids, ...unknown].map((each) => rows.get(each) ?? 0xffffffff),
      )
    }),
    { numRuns: 500 },
  )
})
