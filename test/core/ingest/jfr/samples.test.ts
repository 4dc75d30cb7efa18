import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SampleTable } from '#core/ingest/jfr/samples.ts'
import { getBigInt } from '#core/wire/int64.ts'

test('a stack in a context is one row, with and without a context', () => {
  const table = new SampleTable()
  table.begin()
  assert.deepEqual(
    [table.rowOf(5, 0), table.rowOf(5, 1), table.rowOf(0, 1), table.rowOf(5, 0), table.rowOf(5, 1), table.rowOf(0, 0)],
    [0, 1, 2, 0, 1, 3],
  )
  assert.deepEqual([...table.stack.copy()], [5, 5, 0, 0])
  assert.deepEqual([...table.context.copy()], [0, 1, 1, 0])
  table.begin()
  assert.equal(table.count, 0)
  assert.equal(table.rowOf(0, 1), 0)
})

test('values are summed in 64 bits', () => {
  const table = new SampleTable()
  table.begin()
  const row = table.rowOf(1, 0)
  table.addFirst(row, 0xffffffff, 0)
  table.addFirst(row, 2, 0)
  table.addSecond(row, 0, 7)
  table.addSecond(row, 1, 1)
  assert.equal(getBigInt({ lo: table.first.lo.array, hi: table.first.hi.array }, row), 2n ** 32n + 1n)
  assert.equal(getBigInt({ lo: table.second.lo.array, hi: table.second.hi.array }, row), 8n * 2n ** 32n + 1n)
})
