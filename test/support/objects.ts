/** Encoded objects in a store, with the plan that names them: what readers and merges of tests start from. */
import type { ConservationSum, Dataset } from '#core/block/dataset.ts'
import { objectKey } from '#core/block/object-key.ts'
import { compareObjectDatasets, encodeDataset, encodeObject } from '#core/block/write.ts'
import type { ObjectStore } from '#core/ports/object-store.ts'
import type { SourceObject } from '#core/rpc/metastore.ts'
import type { FunctionLevel } from '#core/symbols/function-level.ts'
import { makeUlid } from '#core/wire/ulid.ts'
import { createCodec } from '#platform/codec.ts'

export interface ObjectInput {
  readonly dataset: Dataset
  readonly functionLevel?: FunctionLevel
  readonly skip?: readonly number[]
  /** Stored sums, if not the true ones. */
  readonly sums?: readonly ConservationSum[]
}

const codec = createCodec()

/** A ULID that is a function of the number. */
export function objectIdOf(number: number): string {
  return makeUlid(1_760_000_000_000 + number, new Uint8Array(10).fill(number & 0xff))
}

export function encodeSource(
  number: number,
  inputs: readonly ObjectInput[],
  level = 0,
): { bytes: Uint8Array; source: SourceObject } {
  const objectId = objectIdOf(number)
  const datasets = inputs.map(({ dataset, functionLevel, sums, skip = [] }) => {
    const { tenant, service, windowStartMs, windowMs } = dataset
    // Keys and totals also where they would not pay.
    const fractions = { stackKeysFraction: 2, functionTotalsFraction: 2 }
    const encoded = encodeDataset(dataset, { codec, functionLevel, sums, ...fractions })
    return { tenant, service, windowStartMs, windowMs, encoded, skip: [...skip] }
  })
  datasets.sort(compareObjectDatasets)
  const { bytes, descriptors } = encodeObject({ objectId, level, createdMs: 0, sources: [], datasets })
  const named = descriptors.map((descriptor, i) => ({ descriptor, skip: datasets[i]!.skip }))
  return { bytes, source: { objectId, level, sizeBytes: bytes.length, datasets: named } }
}

export async function putObject(
  store: ObjectStore,
  number: number,
  inputs: readonly ObjectInput[],
  level = 0,
): Promise<SourceObject> {
  const { bytes, source } = encodeSource(number, inputs, level)
  await store.put(objectKey(source.objectId), bytes)
  return source
}
