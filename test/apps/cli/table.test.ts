import assert from 'node:assert/strict'
import { test } from 'node:test'
import { renderBar, renderSparkline, renderTable, shrinkSeries } from '../../../apps/cli/table.ts'

test('columns are as wide as their widest cell, by characters', () => {
  const lines = renderTable(
    [{ title: 'name' }, { title: 'sum', align: 'right' }],
    [
      ['größe', '7'],
      ['a', '1,234'],
    ],
  )
  assert.deepEqual(lines, ['name     sum', 'größe      7', 'a      1,234'])
  assert.deepEqual(renderTable([{ title: '' }, { title: '' }], [['a', 'b']]), ['a  b'])
})

test('a sparkline shows height, zero and absence', () => {
  assert.equal(renderSparkline([0, 1, 2, 4, undefined, 8]), '▁▂▃▅ █')
  assert.equal(renderSparkline([0, undefined, 0]), '▁ ▁')
  assert.equal(renderSparkline([]), '')
})

test('shrinking keeps the sum and tells absence from zero', () => {
  const values = Array.from({ length: 100 }, (_, i) => (i < 50 ? undefined : i))
  const shrunk = shrinkSeries(values, 10)
  assert.equal(shrunk.length, 10)
  assert.deepEqual(shrunk.slice(0, 5), new Array(5).fill(undefined))
  assert.equal(
    shrunk.reduce((sum: number, value) => sum + (value ?? 0), 0),
    (50 + 99) * 25,
  )
  assert.deepEqual(shrinkSeries([1, undefined], 10), [1, undefined])
})

test('bars have a fixed width', () => {
  assert.equal(renderBar(1, 2, 4), '██  ')
  assert.equal(renderBar(1, 16, 4), '▎   ')
  assert.equal(renderBar(3, 2, 4), '████')
  assert.equal(renderBar(1, 0, 4), '    ')
})
