/** Synthetic segments and what a compaction makes of them, built as the writer and the worker do. Made once a run. */
import { assert } from '#core/assert.ts'
import type { Dataset } from '#core/block/dataset.ts'
import { DICTIONARY_SEED_BYTES, dictionaryIdOf } from '#core/block/stack-keys.ts'
import { type EncodedDataset, encodeDataset, encodeObject } from '#core/block/write.ts'
import { mergeDatasets, type MergedDataset } from '#core/compaction/merge.ts'
import { buildLabels, type Labels } from '#core/labels/labels.ts'
import { ProfileDecoder } from '#core/pprof/decode.ts'
import { splitProfile } from '#core/pprof/split.ts'
import type { DatasetDescriptor } from '#core/rpc/metastore.ts'
import { Dictionary } from '#core/segment/dictionary.ts'
import { Head } from '#core/segment/head.ts'
import type { RowScratch } from '#core/segment/rows.ts'
import { MS_PER_HOUR } from '#core/units.ts'
import { createCodec } from '#platform/codec.ts'
import { HOUR_START_MS, NO_LIMITS, syntheticProfile } from './corpus.ts'

export const SEGMENTS = 20
const SERIES_PER_SEGMENT = 6
const PROFILES_PER_SERIES = 3

export interface BuiltObject {
  readonly bytes: Uint8Array
  readonly region: Uint8Array
  readonly descriptor: DatasetDescriptor
}

export interface SyntheticBlocks {
  readonly segments: readonly Dataset[]
  readonly segmentObjects: readonly BuiltObject[]
  readonly merged: MergedDataset
  readonly mergedObject: BuiltObject
  readonly rows: number
}

const codec = createCodec()
let built: SyntheticBlocks | undefined

export function syntheticBlocks(): SyntheticBlocks {
  if (built !== undefined) return built
  // As a writer does: one dictionary for as long as it runs.
  const dictionary = new Dictionary(dictionaryIdOf(new Uint8Array(DICTIONARY_SEED_BYTES), 1))
  const segments = Array.from({ length: SEGMENTS }, (_, s) => segmentOf(s, dictionary))
  const merged = mergeDatasets(segments.map((dataset) => ({ dataset, skip: [] })))
  const rows = rowsOf(merged.dataset)
  assert(rows === segments.reduce((sum, dataset) => sum + rowsOf(dataset), 0), 'a merge keeps every row')
  built = {
    segments,
    segmentObjects: segments.map((dataset) => objectOf(dataset, encodeDataset(dataset, { codec }), 0)),
    merged,
    mergedObject: objectOf(
      merged.dataset,
      encodeDataset(merged.dataset, { codec, functionLevel: merged.functionLevel }),
      1,
    ),
    rows,
  }
  return built
}

export function rowsOf(dataset: Dataset): number {
  return dataset.rows.reduce((sum, { rowCount }) => sum + rowCount, 0)
}

export function labelsOfSeries(series: number): Labels {
  return buildLabels([
    { name: '__name__', value: 'process_cpu' },
    { name: 'service_name', value: 'shop' },
    { name: 'pod', value: `shop-${series}` },
    { name: 'region', value: `region-${series % 3}` },
  ])
}

export const PROFILE_TYPE = 'process_cpu:cpu:nanoseconds:cpu:nanoseconds'

export function newHead(dictionary?: Dictionary, scratch?: RowScratch): Head {
  const key = { tenant: 'anonymous', service: 'shop', windowStartMs: HOUR_START_MS, windowMs: MS_PER_HOUR }
  return new Head(key, dictionary, scratch)
}

/** Profiles of one flush: every series a few times, spread over the hour by segment. */
function segmentOf(segment: number, dictionary: Dictionary): Dataset {
  const head = newHead(dictionary)
  const decoder = new ProfileDecoder()
  for (let i = 0; i < SERIES_PER_SEGMENT * PROFILES_PER_SERIES; i++) {
    const ordinal = segment * SERIES_PER_SEGMENT * PROFILES_PER_SERIES + i
    const result = decoder.decode(syntheticProfile(1_000 + ordinal), NO_LIMITS)
    assert(result.ok, 'a synthetic profile decodes')
    const labels = labelsOfSeries(i % SERIES_PER_SEGMENT)
    head.append({
      profile: result.profile,
      split: splitProfile(result.profile, labels, { maxSessionsPerSeries: 0 }),
      profileId: idOf(ordinal),
      timeNanos: BigInt(HOUR_START_MS + segment * 180_000 + i * 1_000) * 1_000_000n,
      stackDepthMax: 0,
    })
  }
  return head.finish().dataset
}

/** Digests in the product: bytes that do not compress. */
export function idOf(ordinal: number): Uint8Array {
  const id = new Uint8Array(16)
  let state = (ordinal + 1) * 0x9e3779b1
  for (let i = 0; i < 14; i++) {
    state = Math.imul(state ^ (state >>> 15), 0x85ebca6b)
    id[i] = state >>> 24
  }
  return id
}

export function objectOf(dataset: Dataset, encoded: EncodedDataset, level: number): BuiltObject {
  const { tenant, service, windowStartMs, windowMs } = dataset
  const { bytes, descriptors } = encodeObject({
    objectId: '01JD8ZQ4T6M3B5X9W2R1C0V87K',
    level,
    createdMs: HOUR_START_MS,
    sources: [],
    datasets: [{ tenant, service, windowStartMs, windowMs, encoded }],
  })
  const descriptor = descriptors[0]!
  return { bytes, region: bytes.subarray(descriptor.offset, descriptor.offset + descriptor.sizeBytes), descriptor }
}
