/** Writing and reading datasets, and how large they are: the size does not depend on the machine. */
import { decodeDataset, openDataset } from '#core/block/read.ts'
import { encodeDataset } from '#core/block/write.ts'
import { createCodec } from '#platform/codec.ts'
import type { BenchCase, Figure } from './figure.ts'
import { measure } from './measure.ts'
import { rowsOf, syntheticBlocks } from './segments.ts'

/** Columns of samples alone, the bound that the encodings were chosen by. Equal in every run with one zstd. */
const FRAME_BYTES_PER_SAMPLE_MAX = 1.3

export const blockCase: BenchCase = {
  name: 'block',
  about: 'write and read a dataset; bytes per sample of a segment (L0) and of 20 of them merged (L1)',
  run() {
    const codec = createCodec()
    const { segments, segmentObjects, merged, mergedObject, rows } = syntheticBlocks()
    const segment = segments[0]!
    const region = segmentObjects[0]!
    const options = { codec, functionLevel: merged.functionLevel }
    const times = measure({
      writeL0: () => encodeDataset(segment, { codec }).bytes.length,
      readL0: () => decodeDataset(region.region, region.descriptor, codec).headers.count,
      writeL1: () => encodeDataset(merged.dataset, options).bytes.length,
      readL1: () => decodeDataset(mergedObject.region, mergedObject.descriptor, codec).headers.count,
    })
    const levels = [
      ['L0', region.region.length, rowsOf(segment)],
      ['L1', mergedObject.region.length, rows],
    ] as const
    const speeds = levels.flatMap(([level, sizeBytes, rowCount]) =>
      ['write', 'read'].flatMap((verb): Figure[] => {
        const ms = times.perCallMs(`${verb}${level}`)
        return [
          { what: `${level}: ${verb}`, value: rowCount / 1e3 / ms, unit: 'Mrows/s' },
          { what: `${level}: ${verb}`, value: sizeBytes / 1e3 / ms, unit: 'MB/s stored' },
        ]
      }),
    )
    const sizes = [
      segmentObjects.reduce((sum, object) => sum + object.region.length, 0) / rows,
      mergedObject.region.length / rows,
    ]
    const frameBytes = openDataset(mergedObject.region, mergedObject.descriptor, codec).section('frames').storedBytes
    return [
      ...speeds,
      {
        what: 'L1: size of sample columns',
        value: frameBytes / rows,
        unit: 'B/sample',
        isGated: true,
        goal: { op: '<=', value: FRAME_BYTES_PER_SAMPLE_MAX },
      },
      { what: 'L0: size, symbols included', value: sizes[0]!, unit: 'B/sample', isGated: true },
      { what: 'L1: size, symbols included', value: sizes[1]!, unit: 'B/sample', isGated: true },
    ]
  },
}
