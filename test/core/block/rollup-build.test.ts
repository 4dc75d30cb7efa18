import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { emptyRows } from '#core/block/frames.ts'
import { findRollupFault } from '#core/block/rollup.ts'
import { buildRollups, RollupBuilder } from '#core/block/rollup-build.ts'
import { repetitiveDataset } from '../../support/rollups.ts'

test('rows that come in pieces make the rollups of the whole', () => {
  fc.assert(
    fc.property(repetitiveDataset(), fc.infiniteStream(fc.integer({ min: 1, max: 5 })), (dataset, sizes) => {
      const { groups, headers, rows, symbols } = dataset
      const builder = new RollupBuilder({ groups, headers, stackCount: symbols.stackCount })
      for (let first = 0; first < headers.count; ) {
        const group = headers.group[first]!
        const size = sizes.next().value as number
        let end = first
        let rowCount = 0
        while (end < headers.count && end - first < size && headers.group[end] === group)
          rowCount += headers.rowLength[end++]!
        // A piece has its own columns, one row behind another's.
        const piece = emptyRows(groups[group]!, rowCount + 1, false)
        const from = headers.rowStart[first]!
        piece.stackId.set(rows[group]!.stackId.subarray(from, from + rowCount), 1)
        piece.values.forEach(({ lo, hi }, type) => {
          lo.set(rows[group]!.values[type]!.lo.subarray(from, from + rowCount), 1)
          hi.set(rows[group]!.values[type]!.hi.subarray(from, from + rowCount), 1)
        })
        builder.addHeaders({ first, end }, piece, 1)
        first = end
      }
      const built = builder.finish()
      assert.deepEqual(built, buildRollups(dataset))
      const valuesOf = (group: number, type: number) => built.rows[group]!.values[type]!
      assert.equal(findRollupFault(dataset, { index: built, valuesOf }), undefined)
    }),
    { numRuns: 60 },
  )
})
