import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeFooter, decodeDataset, footerRange } from '#core/block/read.ts'
import { encodeDataset, encodeObject, floorMs, type ObjectDataset } from '#core/block/write.ts'
import type { Dataset } from '#core/block/dataset.ts'
import { createCodec } from '#platform/codec.ts'
import {
  arbitraryDataset,
  CPU_GROUP,
  makeDataset,
  makeLabels,
  plainDataset,
  WINDOW_START_NANOS,
} from '../../support/datasets.ts'

const codec = createCodec()

function objectOf(datasets: readonly Dataset[]): ReturnType<typeof encodeObject> {
  return encodeObject({
    objectId: '01HZ9V8S00AAAAAAAAAAAAAAAA',
    level: 0,
    createdMs: 1_717_236_000_123,
    sources: [],
    datasets: datasets.map(
      (dataset): ObjectDataset => ({
        tenant: dataset.tenant,
        service: dataset.service,
        windowStartMs: dataset.windowStartMs,
        windowMs: dataset.windowMs,
        encoded: encodeDataset(dataset, { codec }),
      }),
    ),
  })
}

test('every dataset comes back as it was, through an object and its footer', () => {
  fc.assert(
    fc.property(arbitraryDataset(), (dataset) => {
      const { bytes, descriptors } = objectOf([dataset])
      const range = footerRange(bytes.length, bytes.subarray(-16))
      const footer = decodeFooter(bytes.subarray(range.offset), bytes.length)
      assert.deepEqual(footer.datasets, descriptors)
      const descriptor = descriptors[0]!
      const region = bytes.subarray(descriptor.offset, descriptor.offset + descriptor.sizeBytes)
      assert.deepEqual(plainDataset(decodeDataset(region, descriptor, codec)), plainDataset(dataset))
    }),
    { numRuns: 200 },
  )
})
