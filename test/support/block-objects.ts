/** Objects in memory for tests of readers: encoded datasets, their descriptors, and reads that are counted. */
import { encodeDataset, encodeObject, type ObjectDataset } from '#core/block/write.ts'
import type { Dataset } from '#core/block/dataset.ts'
import { type DatasetHead, FetchedRanges, openDataset, planDatasetRead, type ReadNeed } from '#core/block/read.ts'
import type { DatasetDescriptor } from '#core/rpc/metastore.ts'
import { buildFunctionLevel, type FunctionLevel } from '#core/symbols/function-level.ts'
import { StringTable } from '#core/symbols/string-table.ts'
import { createCodec } from '#platform/codec.ts'

export const TEST_CODEC = createCodec()

export interface TestObject {
  readonly bytes: Uint8Array
  readonly descriptors: readonly DatasetDescriptor[]
}

/** Function level whose names are the dataset's own strings: no frame of these datasets is without lines. */
export function functionLevelOf({ symbols }: Dataset): FunctionLevel {
  const names = new StringTable()
  for (let i = 0; i < symbols.stringCount; i++)
    names.intern(symbols.stringBytes, symbols.stringOffset[i]!, symbols.stringOffset[i + 1]!)
  return buildFunctionLevel(symbols, names)
}

export function buildObject(datasets: readonly Dataset[], withFunctionLevel = false): TestObject {
  return encodeObject({
    objectId: '01HZ9V8S00AAAAAAAAAAAAAAAA',
    level: 0,
    createdMs: 1_717_236_000_123,
    sources: [],
    datasets: datasets.map((dataset): ObjectDataset => {
      const functionLevel = withFunctionLevel ? functionLevelOf(dataset) : undefined
      const { tenant, service, windowStartMs, windowMs } = dataset
      const encoded = encodeDataset(dataset, { codec: TEST_CODEC, functionLevel })
      return { tenant, service, windowStartMs, windowMs, encoded }
    }),
  })
}

export function regionOf(object: TestObject, index = 0): Uint8Array {
  const { offset, sizeBytes } = object.descriptors[index]!
  return object.bytes.subarray(offset, offset + sizeBytes)
}

/** A reader that has nothing but the bytes it asked for, and counts its requests. */
export class CountingReader {
  reads = 0
  bytesRead = 0
  readonly #object: TestObject

  constructor(object: TestObject) {
    this.#object = object
  }

  openHead(index = 0): DatasetHead {
    const descriptor = this.#object.descriptors[index]!
    return openDataset(this.#copyRange(descriptor.offset, descriptor.headBytes), descriptor, TEST_CODEC)
  }

  fetch(head: DatasetHead, need: ReadNeed): FetchedRanges {
    const ranges = planDatasetRead(head, need)
    return new FetchedRanges(
      ranges.map(({ offset, lengthBytes }) => ({ offset, bytes: this.#copyRange(offset, lengthBytes) })),
    )
  }

  #copyRange(offset: number, lengthBytes: number): Uint8Array {
    this.reads++
    this.bytesRead += lengthBytes
    return this.#object.bytes.slice(offset, offset + lengthBytes)
  }
}
