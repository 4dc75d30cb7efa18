/** What a worker does with 20 segments between download and upload: read, merge, prove that nothing was lost, write. */
import { assert } from '#core/assert.ts'
import { addSums, compareSums, conservationSums, renumberSums, stackHashes } from '#core/block/conservation.ts'
import { decodeDataset } from '#core/block/read.ts'
import { encodeDataset } from '#core/block/write.ts'
import { mergeDatasets } from '#core/compaction/merge.ts'
import { mergeNumbering } from '#core/compaction/merge-headers.ts'
import { createCodec } from '#platform/codec.ts'
import type { BenchCase } from './figure.ts'
import { measure } from './measure.ts'
import { SEGMENTS, syntheticBlocks } from './segments.ts'

export const compactionCase: BenchCase = {
  name: 'compaction',
  about: `${SEGMENTS} segments of one service into one: read, merge, check, write`,
  run() {
    const codec = createCodec()
    const { segments, segmentObjects, rows } = syntheticBlocks()
    const inputs = segments.map((dataset) => ({ dataset, skip: [] }))
    const partSums = segments.map((dataset) => conservationSums(dataset, stackHashes(dataset.symbols)))
    const compact = (): number => {
      const read = segmentObjects.map(({ region, descriptor }) => ({
        dataset: decodeDataset(region, descriptor, codec),
        skip: [],
      }))
      const { dataset, functionLevel } = mergeDatasets(read)
      const sums = conservationSums(dataset, stackHashes(dataset.symbols))
      const numbering = mergeNumbering(
        read.map((input) => input.dataset),
        dataset,
      )
      const expected = addSums(partSums.map((part, i) => renumberSums(part, numbering[i]!)))
      assert(compareSums(expected, sums) === undefined, 'a merge keeps every sample')
      return encodeDataset(dataset, { codec, functionLevel, sums }).bytes.length
    }
    const times = measure({ compact, merge: () => mergeDatasets(inputs).dataset.headers.count })
    const storedBytes = segmentObjects.reduce((sum, { region }) => sum + region.length, 0)
    return [
      { what: 'whole job', value: rows / 1e3 / times.perCallMs('compact'), unit: 'Msamples/s' },
      { what: 'whole job', value: storedBytes / 1e3 / times.perCallMs('compact'), unit: 'MB/s stored in' },
      { what: 'merge alone', value: rows / 1e3 / times.perCallMs('merge'), unit: 'Msamples/s' },
    ]
  },
}
