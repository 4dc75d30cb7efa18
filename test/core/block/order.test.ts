import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Dataset } from '#core/block/dataset.ts'
import { findHeaderFault, findOrderFault } from '#core/block/order.ts'
import { setBigInt } from '#core/wire/int64.ts'
import { arbitraryDataset, ARBITRARY_GROUPS, makeDataset, WINDOW_START_NANOS } from '../../support/datasets.ts'

function fixture(): Dataset {
  const profile = (id: number, group: number) => ({
    series: 0,
    group,
    timeNanos: WINDOW_START_NANOS,
    id,
    samples: [
      { stack: ['main'], values: [1n, 1n].slice(group), span: group === 1 ? 1n : 0n },
      { stack: ['main'], values: [1n, 1n].slice(group), span: group === 1 ? 2n : 0n },
      { stack: ['gc'], values: [1n, 1n].slice(group) },
    ],
  })
  return makeDataset({
    series: [[]],
    groups: ARBITRARY_GROUPS.slice(0, 2),
    profiles: [profile(1, 0), profile(2, 0), profile(3, 1)],
  })
}

test('datasets as the contract wants them have no fault', () => {
  assert.equal(findOrderFault(fixture()), undefined)
  fc.assert(fc.property(arbitraryDataset(), (dataset) => assert.equal(findOrderFault(dataset), undefined)))
})

test('every broken rule is found', () => {
  const table: [RegExp, (dataset: Dataset) => void][] = [
    [/header 1 sorts before header 0/, ({ headers }) => (headers.profileId[15] = 9)],
    [/header 1 sorts before header 0/, ({ headers }) => setBigInt(headers.timeNanos, 1, -1n)],
    [/header 1 sorts before header 0/, ({ headers }) => (headers.group[0] = 1)],
    [/group 7 of 2/, ({ headers }) => (headers.group[2] = 7)],
    [/series 4 of 1/, ({ headers }) => (headers.series[2] = 4)],
    [/rows of header 1 start at 1, not 2/, ({ headers }) => (headers.rowStart[1] = 1)],
    [/rows of header 2 end past group 1/, ({ headers }) => (headers.rowLength[2] = 4)],
    [/group 1 has 3 rows, its headers 2/, ({ headers }) => (headers.rowLength[2] = 2)],
    [/at most 16777216/, ({ headers }) => (headers.rowLength[2] = 2 ** 31)],
    [/row 1 of group 0/, ({ rows }) => (rows[0]!.stackId[1] = 0)],
    [/row 1 of group 1/, ({ rows }) => setBigInt(rows[1]!.spanId!, 1, 1n)],
  ]
  for (const [fault, change] of table) {
    const dataset = fixture()
    change(dataset)
    assert.match(findOrderFault(dataset) ?? 'no fault', fault)
  }
})

test('headers alone are judged without ids', () => {
  const { headers } = fixture()
  headers.profileId[15] = 9
  const { profileId, ...rest } = headers
  assert.equal(profileId.length, 48)
  assert.equal(findHeaderFault(rest, { groups: 2, series: 1 }), undefined)
})
