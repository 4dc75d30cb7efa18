import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  addSums,
  compareSums,
  conservationSums,
  renumberSums,
  stackHashes,
  subtractSums,
} from '#core/block/conservation.ts'
import type { Dataset } from '#core/block/dataset.ts'
import { findOrderFault } from '#core/block/order.ts'
import { mergeNumbering } from '#core/compaction/merge-headers.ts'
import { mergeDatasets } from '#core/compaction/merge.ts'
import { contentsOf } from '../../support/contents.ts'
import { arbitraryDataset } from '../../support/datasets.ts'

const whole = (dataset: Dataset) => ({ dataset, skip: [] })
const merge = (...datasets: Dataset[]): Dataset => mergeDatasets(datasets.map(whole)).dataset

test('a merge holds exactly what its inputs held, in order', () => {
  fc.assert(
    fc.property(fc.array(arbitraryDataset(), { minLength: 1, maxLength: 4 }), (inputs) => {
      const merged = merge(...inputs)
      assert.equal(findOrderFault(merged), undefined)
      const expected = inputs.flatMap(contentsOf).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
      assert.deepEqual(contentsOf(merged), expected)
    }),
    { numRuns: 60 },
  )
})

test('merging is associative and commutative', () => {
  fc.assert(
    fc.property(arbitraryDataset(), arbitraryDataset(), arbitraryDataset(), (a, b, c) => {
      const expected = contentsOf(merge(a, b, c))
      assert.deepEqual(contentsOf(merge(merge(a, b), c)), expected)
      assert.deepEqual(contentsOf(merge(a, merge(b, c))), expected)
      assert.deepEqual(contentsOf(merge(c, a, b)), expected)
    }),
    { numRuns: 40 },
  )
})

test('skipped headers are left out, and sums are those of the inputs less theirs', () => {
  const withSkips = arbitraryDataset().chain((dataset) =>
    fc.record({
      dataset: fc.constant(dataset),
      skip: fc
        .subarray(
          Array.from({ length: dataset.headers.count }, (_, i) => i),
          { maxLength: dataset.headers.count - 1 },
        )
        .map((positions) => positions.sort((a, b) => a - b)),
    }),
  )
  fc.assert(
    fc.property(fc.array(withSkips, { minLength: 1, maxLength: 3 }), (inputs) => {
      const { dataset: merged } = mergeDatasets(inputs)
      const kept = inputs.reduce((sum, { dataset, skip }) => sum + dataset.headers.count - skip.length, 0)
      assert.equal(merged.headers.count, kept)
      const numbering = mergeNumbering(
        inputs.map(({ dataset }) => dataset),
        merged,
      )
      const expected = inputs.map(({ dataset, skip }, i) => {
        const hashes = stackHashes(dataset.symbols)
        const all = conservationSums(dataset, hashes)
        const skipped = skip.length === 0 ? [] : conservationSums(dataset, hashes, { positions: skip })
        return renumberSums(subtractSums(all, skipped), numbering[i]!)
      })
      const actual = conservationSums(merged, stackHashes(merged.symbols))
      assert.equal(compareSums(addSums(expected), actual), undefined)
    }),
    { numRuns: 60 },
  )
})

test('the function level of a merge names every stack as its lines do', () => {
  fc.assert(
    fc.property(arbitraryDataset(), arbitraryDataset(), (a, b) => {
      const { dataset, functionLevel } = mergeDatasets([whole(a), whole(b)])
      const { stringBytes, stringOffset } = dataset.symbols
      for (let i = 0; i < functionLevel.nodeCount; i++) {
        assert.ok(functionLevel.name[i]! < dataset.symbols.stringCount)
        assert.ok(stringOffset[functionLevel.name[i]! + 1]! <= stringBytes.length)
      }
      assert.equal(functionLevel.nodeToFunctionNode.length, dataset.symbols.nodeCount)
    }),
    { numRuns: 30 },
  )
})

test('datasets of two tenants are never merged', () => {
  const [a, b] = fc.sample(arbitraryDataset(), 2)
  assert.throws(() => merge(a!, { ...b!, tenant: 'other' }), /one tenant/)
})

test('a wider window takes hours; inputs that it does not hold are a fault of planning', () => {
  const hourMs = 3_600_000
  const shifted = (dataset: Dataset, hours: number): Dataset => ({
    ...dataset,
    windowStartMs: dataset.windowStartMs + hours * hourMs,
  })
  const [a, b] = fc.sample(arbitraryDataset(), { numRuns: 2, seed: 3 }) as [Dataset, Dataset]
  const inputs = [whole(a), whole(shifted(b, 5))]
  const window = { windowStartMs: a.windowStartMs, windowMs: 6 * hourMs }
  const { dataset } = mergeDatasets(inputs, window)
  assert.deepEqual([dataset.windowStartMs, dataset.windowMs], [a.windowStartMs, 6 * hourMs])
  assert.deepEqual(contentsOf(dataset), contentsOf(merge(a, b)))
  assert.throws(() => mergeDatasets(inputs), /the output window ends no earlier/)
  assert.throws(() => mergeDatasets(inputs, { ...window, windowMs: 5 * hourMs }), /ends no earlier/)
  assert.throws(() => mergeDatasets([whole(shifted(a, -1))], window), /starts no later/)
})
