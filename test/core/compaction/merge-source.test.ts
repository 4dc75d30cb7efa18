import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { conservationSums, stackHashes } from '#core/block/conservation.ts'
import { RegionSource } from '#core/compaction/merge-source.ts'
import type { CinderError } from '#core/errors.ts'
import { createCodec } from '#platform/codec.ts'
import { arbitraryDataset } from '../../support/datasets.ts'
import { noisyDataset } from '../../support/noisy-dataset.ts'
import { encodeSource } from '../../support/objects.ts'

const codec = createCodec()

function sourceOf(dataset: Parameters<typeof encodeSource>[1][number]['dataset'], skip: readonly number[] = []) {
  const { source, bytes } = encodeSource(0, [{ dataset }])
  const { descriptor } = source.datasets[0]!
  const region = bytes.subarray(descriptor.offset, descriptor.offset + descriptor.sizeBytes)
  return new RegionSource({ region, descriptor, skip }, codec)
}

test('rows of any header, in any order, and the sums of what is skipped', () => {
  const withSkip = arbitraryDataset().chain((dataset) =>
    fc
      .shuffledSubarray(Array.from({ length: dataset.headers.count }, (_, i) => i))
      .map((positions) => ({ dataset, positions })),
  )
  fc.assert(
    fc.property(withSkip, ({ dataset, positions }) => {
      const skip = [...positions].sort((a, b) => a - b)
      const source = sourceOf(dataset, skip)
      const symbols = source.decodeSymbols()
      const used = source.usedStacks(symbols)
      source.closeSymbols(symbols)
      const hashes = stackHashes(dataset.symbols)
      const expected = skip.length === 0 ? [] : conservationSums(dataset, hashes, { positions: skip })
      assert.deepEqual(source.skippedSums, expected)
      for (const position of positions) {
        const { rows, start, length } = source.spanOf(position)
        const group = dataset.rows[dataset.headers.group[position]!]!
        const from = dataset.headers.rowStart[position]!
        assert.equal(length, dataset.headers.rowLength[position])
        assert.deepEqual(rows.stackId.slice(start, start + length), group.stackId.slice(from, from + length))
        rows.values.forEach(({ lo }, type) =>
          assert.deepEqual(lo.slice(start, start + length), group.values[type]!.lo.slice(from, from + length)),
        )
      }
      const named = new Set<number>()
      for (let h = 0; h < dataset.headers.count; h++) {
        if (skip.includes(h)) continue
        const { rows, start, length } = source.spanOf(h)
        for (const stack of rows.stackId.subarray(start, start + length)) named.add(stack)
      }
      if (skip.length > 0)
        assert.deepEqual(
          used,
          Uint8Array.from(used, (_, stack) => (named.has(stack) ? 1 : 0)),
        )
    }),
    { numRuns: 60 },
  )
})

test('what its symbols may take is known before they are inflated, and grows with them', () => {
  const few = sourceOf(noisyDataset({ service: 'a', profiles: 2, samples: 10 })).symbolBytesMax
  const many = sourceOf(noisyDataset({ service: 'a', profiles: 20, samples: 200 })).symbolBytesMax
  assert.ok(few > 1_000)
  assert.ok(many > 20 * few, `${many} against ${few}`)
})

test('a region that ends early is data_loss', () => {
  const { source, bytes } = encodeSource(0, [{ dataset: noisyDataset({ service: 'a', profiles: 2, samples: 10 }) }])
  const { descriptor } = source.datasets[0]!
  const region = bytes.subarray(descriptor.offset, descriptor.offset + descriptor.sizeBytes - 1)
  assert.throws(
    () => new RegionSource({ region, descriptor, skip: [] }, codec),
    (error: CinderError) => error.kind === 'data_loss',
  )
})
