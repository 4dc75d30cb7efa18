import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Dataset } from '#core/block/dataset.ts'
import { openDataset } from '#core/block/read.ts'
import { findSection } from '#core/block/section-table.ts'
import { encodeDataset, encodeObject } from '#core/block/write.ts'
import { BlockCache } from '#core/query/block-cache.ts'
import { MIB } from '#core/units.ts'
import { createCodec } from '#platform/codec.ts'
import { KeptBlocks } from '../../../apps/query-backend/kept-blocks.ts'
import { functionLevelOf } from '../../support/block-objects.ts'
import { repetitiveDataset } from '../../support/rollups.ts'

const OBJECT_ID = '01JAB3VW7Z0000000000000000'
const codec = createCodec()

function headOf(dataset: Dataset, rollupBytesFraction: number) {
  const options = { codec, functionLevel: functionLevelOf(dataset), rollupBytesFraction }
  const { tenant, service, windowStartMs, windowMs } = dataset
  const datasets = [{ tenant, service, windowStartMs, windowMs, encoded: encodeDataset(dataset, options) }]
  const { bytes, descriptors } = encodeObject({ objectId: OBJECT_ID, level: 1, createdMs: 0, sources: [], datasets })
  const { offset, headBytes } = descriptors[0]!
  return openDataset(bytes.slice(offset, offset + headBytes), descriptors[0]!, codec)
}

test('a head that is kept counts what is worked out of its rollups', () => {
  const sizeOf = (head: ReturnType<typeof headOf>): number => {
    const cache = new BlockCache(MIB)
    const kept = new KeptBlocks(cache)
    kept.keepHead(OBJECT_ID, head)
    assert.equal(kept.head(OBJECT_ID, head.descriptor), head)
    return cache.sizeBytes
  }
  let compared = 0
  for (const dataset of fc.sample(repetitiveDataset(), { numRuns: 20, seed: 1 })) {
    const [without, withRollups] = [headOf(dataset, 0), headOf(dataset, 1_000)]
    const index = findSection(withRollups.table, 'rollupIndex')
    if (index === undefined) continue
    assert.equal(findSection(without.table, 'rollupIndex'), undefined)
    const headGrowth = (withRollups.descriptor.headBytes - without.descriptor.headBytes) * 8
    assert.equal(sizeOf(withRollups) - sizeOf(without), headGrowth + index.rawBytes * 24)
    compared++
  }
  assert.ok(compared > 0, 'some of them have rollups')
})
