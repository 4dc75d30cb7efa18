import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Dataset } from '#core/block/dataset.ts'
import { decodeFunctionTotals, FUNCTION_TOTALS_GROUPS_MAX } from '#core/block/function-totals.ts'
import { buildFunctionTotals, functionTotalsBytesMax, packFunctionTotals } from '#core/block/function-totals-build.ts'
import { ByteReader } from '#core/wire/byte-reader.ts'
import { getBigInt } from '#core/wire/int64.ts'
import { isDataLoss } from '../../support/block-faults.ts'
import { functionLevelOf } from '../../support/block-objects.ts'
import { arbitraryDataset, CPU_GROUP, makeDataset, makeLabels, WINDOW_START_NANOS } from '../../support/datasets.ts'
import { noisyDataset } from '../../support/noisy-dataset.ts'
import { repetitiveDataset } from '../../support/rollups.ts'

const ANY_BYTES = 1 << 30

/** By group, type and node, from the rows; values of 0 are left out. */
function expected({ groups, headers, rows, symbols }: Dataset, nodeOf: Uint32Array) {
  const sums: Record<string, bigint> = {}
  for (let h = 0; h < headers.count; h++) {
    const group = headers.group[h]!
    for (let row = headers.rowStart[h]!; row < headers.rowStart[h]! + headers.rowLength[h]!; row++) {
      groups[group]!.types.forEach((_, type) => {
        const key = `${group},${type},${nodeOf[symbols.stackNode[rows[group]!.stackId[row]!]!]}`
        sums[key] = BigInt.asIntN(64, (sums[key] ?? 0n) + getBigInt(rows[group]!.values[type]!, row))
      })
    }
  }
  return Object.fromEntries(Object.entries(sums).filter(([, value]) => value !== 0n))
}

test('totals are the sums of all rows by function node', () => {
  fc.assert(
    fc.property(fc.oneof(arbitraryDataset(), repetitiveDataset()), (dataset) => {
      const functionLevel = functionLevelOf(dataset)
      const packed = buildFunctionTotals({ ...dataset, functionLevel }, ANY_BYTES)!
      const totals = decodeFunctionTotals(new ByteReader(packed, 'section x'), dataset.groups)
      const stored = totals.flatMap(({ group, type, nodes, values }) =>
        Array.from(nodes, (node, i) => [`${group},${type},${node}`, getBigInt(values, i)] as const),
      )
      assert.deepEqual(Object.fromEntries(stored), expected(dataset, functionLevel.nodeToFunctionNode))
    }),
  )
})

test('nothing is written without a function level, or past what is allowed', () => {
  const dataset = noisyDataset({ service: 'shop', profiles: 5, samples: 40 })
  const functionLevel = functionLevelOf(dataset)
  assert.equal(buildFunctionTotals({ ...dataset, functionLevel: undefined }, ANY_BYTES), undefined)
  assert.equal(buildFunctionTotals({ ...dataset, functionLevel }, 0), undefined)
  assert.equal(buildFunctionTotals({ ...dataset, functionLevel }, 8), undefined)
  assert.ok(buildFunctionTotals({ ...dataset, functionLevel }, ANY_BYTES) !== undefined)
})

test('where no rollup pays the total has their share too', () => {
  assert.equal(functionTotalsBytesMax(8_000, { fraction: 1 / 8, hasRollups: true }), 1_000)
  assert.equal(functionTotalsBytesMax(8_000, { fraction: 1 / 8, hasRollups: false }), 3_000)
  assert.equal(functionTotalsBytesMax(8_000, { fraction: 0, hasRollups: false }), 0, 'of one hour there is none')
})

test('a dataset with a group for each profile has none: what is looked at grows with groups times nodes', () => {
  const withGroups = (count: number) => {
    const groups = Array.from({ length: count }, (_, i) => ({ ...CPU_GROUP, period: BigInt(i + 1) }))
    const profiles = groups.map((_, group) => ({
      series: 0,
      group,
      id: group,
      timeNanos: WINDOW_START_NANOS,
      samples: [{ stack: ['f'], values: [1n, 2n] }],
    }))
    const dataset = makeDataset({ series: [makeLabels({ pod: 'a' })], groups, profiles })
    return { ...dataset, functionLevel: functionLevelOf(dataset) }
  }
  assert.ok(buildFunctionTotals(withGroups(FUNCTION_TOTALS_GROUPS_MAX), ANY_BYTES) !== undefined)
  assert.equal(buildFunctionTotals(withGroups(FUNCTION_TOTALS_GROUPS_MAX + 1), ANY_BYTES), undefined)
  assert.equal(packFunctionTotals(withGroups(FUNCTION_TOTALS_GROUPS_MAX + 1), [], ANY_BYTES), undefined)
})

test('totals that lack something of the headers are refused', () => {
  const dataset = noisyDataset({ service: 'shop', profiles: 5, samples: 40 })
  const functionLevel = functionLevelOf(dataset)
  assert.throws(
    () => packFunctionTotals({ ...dataset, functionLevel }, [], ANY_BYTES),
    (error: Error) => isDataLoss(error) && /function totals: total of group 0/.test(error.message),
  )
})
